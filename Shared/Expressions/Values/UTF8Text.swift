/// Characters of UTF-8 text, which is known to be valid.
enum UTF8Text {
    static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }

    static func length(_ text: Bytes) -> Int {
        var count = 0
        for byte in text where byte & 0xC0 != 0x80 { count += 1 }
        return count
    }

    /// The place after `count` characters from `start`, or the end.
    static func advance(_ text: Bytes, from start: Int, by count: Int) -> Int {
        var (index, left) = (start, count)
        while left > 0, index < text.endIndex {
            index += 1
            while index < text.endIndex, isContinuation(text[index]) { index += 1 }
            left -= 1
        }
        return index
    }

    /// The place before the last `count` characters, or the start.
    static func retreat(_ text: Bytes, by count: Int) -> Int {
        var (index, left) = (text.endIndex, count)
        while left > 0, index > text.startIndex {
            index -= 1
            while index > text.startIndex, isContinuation(text[index]) { index -= 1 }
            left -= 1
        }
        return index
    }

    /// The bytes of the character at a place.
    static func character(_ text: Bytes, at start: Int) -> Bytes { text[start..<advance(text, from: start, by: 1)] }

    /// Where `needle` first occurs in `text`, from a place on. Bytes suffice, UTF-8 being self-synchronising.
    static func find(_ needle: Bytes, in text: Bytes, from start: Int? = nil) -> Int? {
        var index = start ?? text.startIndex
        guard let first = needle.first else { return index }
        let last = text.endIndex - needle.count
        while index <= last {
            if text[index] == first, text[index..<index + needle.count].elementsEqual(needle) { return index }
            index += 1
        }
        return nil
    }

    /// Appends a code point.
    static func append(_ value: UInt32, to output: inout [UInt8]) {
        switch value {
        case ..<0x80: output.append(UInt8(value))
        case ..<0x800:
            output.append(UInt8(0xC0 | value >> 6))
            output.append(UInt8(0x80 | value & 0x3F))
        case ..<0x10000:
            output.append(UInt8(0xE0 | value >> 12))
            output.append(UInt8(0x80 | value >> 6 & 0x3F))
            output.append(UInt8(0x80 | value & 0x3F))
        default:
            output.append(UInt8(truncatingIfNeeded: 0xF0 | value >> 18))
            output.append(UInt8(0x80 | value >> 12 & 0x3F))
            output.append(UInt8(0x80 | value >> 6 & 0x3F))
            output.append(UInt8(0x80 | value & 0x3F))
        }
    }

    /// -1, 0 or 1 by bytes, which is the order of collation "C".
    static func compare(_ left: Bytes, _ right: Bytes) -> Int {
        var (i, j) = (left.startIndex, right.startIndex)
        while i < left.endIndex, j < right.endIndex {
            let (a, b) = (left[i], right[j])
            if a != b { return a < b ? -1 : 1 }
            i += 1
            j += 1
        }
        return left.count < right.count ? -1 : (left.count == right.count ? 0 : 1)
    }
}
