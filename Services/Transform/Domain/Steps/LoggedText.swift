import Records

/// Text as web servers escape it in access logs: httpd writes `\"`, `\\`, `\b`, `\n`, `\r`, `\t`, `\v` and other bytes
/// as `\xhh`, nginx all bytes that are not plain ASCII as `\xHH`. A backslash before anything else stands for itself.
enum LoggedText {
    static func isEscaped(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count where text[index] == backslash { return true }
        return false
    }

    /// Appends the text decoded. Throws where that is no text: what escapes of bytes make must be UTF-8.
    static func append(_ text: Span<UInt8>, into output: inout [UInt8]) throws(MalformedText) {
        let start = output.count
        var mustCheck = false
        var index = 0
        while index < text.count {
            guard text[index] == backslash, index + 1 < text.count else {
                output.append(text[index])
                index += 1
                continue
            }
            if text[index + 1] == UInt8(ascii: "x"), index + 3 < text.count,
                let high = PercentDecoder.hex(text[index + 2]), let low = PercentDecoder.hex(text[index + 3])
            {
                let byte = high << 4 | low
                guard byte != 0 else { throw MalformedText("the character U+0000, which cannot be stored,") }
                mustCheck = mustCheck || byte >= 0x80
                output.append(byte)
                index += 4
            } else if let byte = character(text[index + 1]) {
                output.append(byte)
                index += 2
            } else {
                output.append(backslash)
                index += 1
            }
        }
        guard !mustCheck || PercentDecoder.isText(output.span.extracting(start..<output.count)) else {
            throw MalformedText("escaped bytes that are not UTF-8, in the field")
        }
    }

    private static let backslash = UInt8(ascii: "\\")

    private static func character(_ escape: UInt8) -> UInt8? {
        switch escape {
        case UInt8(ascii: "\""), backslash: escape
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "v"): 0x0B
        default: nil
        }
    }
}
