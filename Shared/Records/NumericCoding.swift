/// PostgreSQL's binary form of numeric: digits to the base 10,000, the weight of the first, sign and scale.
enum NumericCoding {
    private static let negative: UInt16 = 0x4000
    private static let notANumber: UInt16 = 0xC000
    private static let infinity: UInt16 = 0xD000
    private static let minusInfinity: UInt16 = 0xF000

    /// The binary forms of a column of canonical decimal texts.
    static func encode(_ texts: ByteColumn, _ validity: [UInt8]) -> ByteColumn {
        var result = ByteColumn(reserving: texts.count, bytes: texts.count * 16)
        let data = texts.data.span
        for row in 0..<texts.count {
            if validity[row] != 0 { encode(data.extracting(texts.range(row)), into: &result.data) }
            result.endValue()
        }
        return result
    }

    /// Appends the binary form of one canonical decimal text, as ``TextInput/numeric(_:into:)`` gives it.
    static func encode(_ text: Span<UInt8>, into output: inout [UInt8]) {
        var start = 0
        var sign: UInt16 = 0
        if text.count > 0, text[0] == 0x2D {
            sign = negative
            start = 1
        }
        if start < text.count, !TextInput.isDigit(text[start]) {
            let special = text[start] == 0x4E ? notANumber : sign == 0 ? infinity : minusInfinity
            return appendHead(0, 0, special, 0, into: &output)
        }
        var point = start
        while point < text.count, text[point] != 0x2E { point += 1 }
        let whole = point - start
        let scale = max(0, text.count - point - 1)
        // Groups of four digits counted from the point, those of zeros at either end left out.
        var first = -((whole + 3) / 4)
        var last = (scale + 3) / 4
        while first < last, group(text, start, point, first) == 0 { first += 1 }
        while last > first, group(text, start, point, last - 1) == 0 { last -= 1 }
        guard first < last else { return appendHead(0, 0, 0, scale, into: &output) }
        appendHead(last - first, -first - 1, sign, scale, into: &output)
        for index in first..<last { append16(group(text, start, point, index), into: &output) }
    }

    /// Group `index` of four digits: 0 follows the point, -1 is before it.
    private static func group(_ text: Span<UInt8>, _ start: Int, _ point: Int, _ index: Int) -> UInt16 {
        let begin = index < 0 ? point + index * 4 : point + 1 + index * 4
        var value: UInt16 = 0
        for at in begin..<(begin + 4) {
            let isDigit = index < 0 ? at >= start : at < text.count
            value = value * 10 + (isDigit ? UInt16(text[at] &- 0x30) : 0)
        }
        return value
    }

    private static func appendHead(
        _ digits: Int, _ weight: Int, _ sign: UInt16, _ scale: Int, into output: inout [UInt8]
    ) {
        append16(UInt16(truncatingIfNeeded: digits), into: &output)
        append16(UInt16(truncatingIfNeeded: weight), into: &output)
        append16(sign, into: &output)
        append16(UInt16(truncatingIfNeeded: scale), into: &output)
    }

    private static func append16(_ value: UInt16, into output: inout [UInt8]) {
        output.append(UInt8(value >> 8))
        output.append(UInt8(value & 0xFF))
    }

    /// Appends the canonical decimal text of one binary form; false, with anything appended, when it is none.
    static func decode(_ binary: Span<UInt8>, into output: inout [UInt8]) -> Bool {
        guard binary.count >= 8 else { return false }
        let digits = Int(read16(binary, 0))
        let weight = Int(Int16(bitPattern: read16(binary, 2)))
        let sign = read16(binary, 4)
        let scale = Int(read16(binary, 6) & 0x3FFF)
        switch sign {
        case notANumber: output.append(contentsOf: "NaN".utf8)
        case infinity: output.append(contentsOf: "Infinity".utf8)
        case minusInfinity: output.append(contentsOf: "-Infinity".utf8)
        case 0, negative:
            guard binary.count == 8 + digits * 2 else { return false }
            if sign == negative { output.append(0x2D) }
            if weight < 0 { output.append(0x30) } else { TextOutput.append(Int64(sent(binary, 0)), into: &output) }
            if weight > 0 { for index in 1...weight { append4(sent(binary, index), 4, into: &output) } }
            guard scale > 0 else { return true }
            output.append(0x2E)
            // Below 0 for groups of zeros between the point and the first that is sent.
            var index = weight + 1
            var left = scale
            while left > 0 {
                append4(sent(binary, index), min(4, left), into: &output)
                left -= 4
                index += 1
            }
        default: return false
        }
        return true
    }

    private static func read16(_ binary: Span<UInt8>, _ at: Int) -> UInt16 {
        UInt16(binary[at]) << 8 | UInt16(binary[at + 1])
    }

    /// Group `index` of four digits; those that are not sent are zeros.
    private static func sent(_ binary: Span<UInt8>, _ index: Int) -> UInt16 {
        index >= 0 && 10 + index * 2 <= binary.count ? read16(binary, 8 + index * 2) : 0
    }

    /// Appends the first `count` of a group's four digits.
    private static func append4(_ group: UInt16, _ count: Int, into output: inout [UInt8]) {
        var divisor: UInt16 = 1_000
        for _ in 0..<count {
            output.append(0x30 + UInt8(truncatingIfNeeded: group / divisor % 10))
            divisor /= 10
        }
    }
}
