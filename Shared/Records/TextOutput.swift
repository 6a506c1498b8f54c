private import Glibc

/// Values as PostgreSQL prints them, with time zone UTC and DateStyle ISO.
public enum TextOutput {
    /// A typed column's values as text; NULLs are empty.
    public static func texts(of column: Column) -> ByteColumn {
        var result = ByteColumn(reserving: column.count, bytes: column.count * 12)
        for row in 0..<column.count {
            if column.isPresent(row) { append(column, row, into: &result.data) }
            result.endValue()
        }
        return result
    }

    /// Appends a present value.
    public static func append(_ column: Column, _ row: Int, into output: inout [UInt8]) {
        switch (column.storage, column.type) {
        case (.int64(let values), .typed(.timestamptz)): append(timestamptz: values[row], into: &output)
        case (.int64(let values), .typed(.date)): append(date: values[row], into: &output)
        case (.int64(let values), _): append(values[row], into: &output)
        case (.float64(let values), _): append(values[row], into: &output)
        case (.bool(let values), _): output.append(contentsOf: (values[row] != 0 ? "true" : "false").utf8)
        case (.bytes(let values), .typed(.uuid)): append(uuid: values[row], into: &output)
        case (.bytes(let values), _): output.append(contentsOf: values[row])
        case (.variant(let values), _): append(values, row, into: &output)
        }
    }

    /// Appends an untyped value's text; nothing for NULL.
    static func append(_ values: VariantColumn, _ row: Int, into output: inout [UInt8]) {
        switch values.kind(row) {
        case .missing, .null: break
        case .false: output.append(contentsOf: "false".utf8)
        case .true: output.append(contentsOf: "true".utf8)
        case .int: append(values.int(row), into: &output)
        case .number, .string, .json, .cell:
            JSONText.append(values.arena.span.extracting(values.range(row)), into: &output)
        }
    }

    /// Appends decimal digits.
    public static func append(_ value: Int64, into output: inout [UInt8]) {
        var digits: InlineArray<20, UInt8> = .init(repeating: 0)
        var at = 20
        var rest = value.magnitude
        repeat {
            at -= 1
            digits[at] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        } while rest > 0
        if value < 0 { output.append(0x2D) }
        JSONText.append(digits.span.extracting(at..<20), into: &output)
    }

    /// Appends the shortest digits that read back as the same double: `0.1`, `1e+20`, `NaN`, `-Infinity`.
    public static func append(_ value: Double, into output: inout [UInt8]) {
        guard value.isFinite else {
            output.append(contentsOf: (value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity").utf8)
            return
        }
        if value.sign == .minus { output.append(0x2D) }
        guard value != 0 else { return output.append(0x30) }
        if value.magnitude >= 1e-4, value.magnitude < 1e15 {
            // The same digits, but that whole numbers end in ".0".
            let text = value.magnitude.description.utf8
            let isWhole = text.last == 0x30 && text.dropLast().last == 0x2E
            return output.append(contentsOf: text.dropLast(isWhole ? 2 : 0))
        }
        let (digits, exponent) = shortest(value.magnitude)
        if exponent < -4 || exponent >= 15 {
            appendScientific(digits, exponent, into: &output)
        } else if exponent < 0 {
            output += [0x30, 0x2E]
            output.append(contentsOf: repeatElement(0x30, count: -exponent - 1))
            output += digits
        } else {
            output += digits.prefix(exponent + 1)
            output.append(contentsOf: repeatElement(0x30, count: max(0, exponent + 1 - digits.count)))
            guard digits.count > exponent + 1 else { return }
            output.append(0x2E)
            output += digits[(exponent + 1)...]
        }
    }

    private static func appendScientific(_ digits: [UInt8], _ exponent: Int, into output: inout [UInt8]) {
        output.append(digits[0])
        if digits.count > 1 {
            output.append(0x2E)
            output += digits[1...]
        }
        output += [0x65, exponent < 0 ? 0x2D : 0x2B]
        if abs(exponent) < 10 { output.append(0x30) }
        append(Int64(abs(exponent)), into: &output)
    }

    /// The shortest digits (no zero at either end) and the decimal exponent of the first.
    private static func shortest(_ value: Double) -> (digits: [UInt8], exponent: Int) {
        var digits: [UInt8] = []
        var point: Int?
        var written = 0
        var text = value.description.utf8[...]
        while let byte = text.popFirst() {
            if byte == 0x2E {
                point = digits.count
            } else if byte == 0x65 {
                written = Int(Substring(text)) ?? 0
                break
            } else {
                digits.append(byte)
            }
        }
        var exponent = (point ?? digits.count) - 1 + written
        let zeros = digits.prefix { $0 == 0x30 }.count
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.last == 0x30 { digits.removeLast() }
        if isMidpoint(digits, exponent, value) { return closest(value, longerThan: digits.count) }
        return (digits, exponent)
    }

    /// Whether the digits stand for a number half-way between this double and another. Reading them gives this double
    /// because it is the even one, but PostgreSQL does not print such a number. Shorter than 18 digits it can only be
    /// an integer.
    private static func isMidpoint(_ digits: [UInt8], _ exponent: Int, _ value: Double) -> Bool {
        let power = exponent + 1 - digits.count
        let halfExponent = Int(value.exponent) - 53
        guard power >= 0, halfExponent >= 0 else { return false }
        var odd = digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 & 15) }
        let twos = odd.trailingZeroBitCount
        odd >>= UInt64(twos)
        for _ in 0..<power {
            let (product, overflow) = odd.multipliedReportingOverflow(by: 5)
            if overflow { return false }
            odd = product
        }
        return twos + power == halfExponent && odd >> 54 == 0 && odd >> 53 == 1
    }

    /// The fewest digits, more than `count`, that are closest to the value and read back as it.
    private static func closest(_ value: Double, longerThan count: Int) -> (digits: [UInt8], exponent: Int) {
        for length in count + 1...17 {
            let text = formatted(value, "%.*e", length - 1)
            guard length == 17 || (try? TextInput.float8(text.span)) == value else { continue }
            guard let mark = text.firstIndex(of: 0x65) else { break }
            var digits = text[..<mark].filter { $0 != 0x2E }
            while digits.last == 0x30 { digits.removeLast() }
            if digits.count <= count { continue }
            let exponent = Int(String(decoding: text[(mark + 1)...], as: UTF8.self)) ?? 0
            return (digits, exponent)
        }
        return ([], 0)
    }

    /// A double's 15 significant digits, as C's `%.15g`.
    static func digits15(_ value: Double) -> [UInt8] {
        guard value.isFinite else {
            var special: [UInt8] = []
            append(value, into: &special)
            return special
        }
        return formatted(value, "%.*g", 15)
    }

    private static func formatted(_ value: Double, _ format: String, _ precision: Int) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 40)
        let length = unsafe withVaList([CInt(precision), value]) { list in
            unsafe vsnprintf(&buffer, buffer.count, format, list)
        }
        return buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Appends 16 bytes as a UUID in lower case.
    public static func append(uuid bytes: ArraySlice<UInt8>, into output: inout [UInt8]) {
        for (index, byte) in bytes.enumerated() {
            if index == 4 || index == 6 || index == 8 || index == 10 { output.append(0x2D) }
            output.append(hexDigits[Int(byte >> 4)])
            output.append(hexDigits[Int(byte & 15)])
        }
    }
}
