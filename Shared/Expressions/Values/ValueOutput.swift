import Records

/// Values as PostgreSQL prints them, where Records does not know them: intervals in style `postgres`.
enum ValueOutput {
    static func write(_ value: Int64, to output: inout [UInt8]) { TextOutput.append(value, into: &output) }

    static func digits(_ value: UInt64, width: Int, to output: inout [UInt8]) {
        let start = output.count
        var rest = value
        repeat {
            output.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
            rest /= 10
        } while rest > 0
        while output.count - start < width { output.append(0x30) }
        output[start...].reverse()
    }

    static func bool(_ value: Bool, to output: inout [UInt8]) {
        output.append(contentsOf: value ? "true".utf8 : "false".utf8)
    }

    /// `hh:mm:ss[.ffffff]`.
    private static func clock(_ microseconds: UInt64, to output: inout [UInt8]) {
        let seconds = microseconds / 1_000_000
        digits(seconds / 3600, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        digits(seconds / 60 % 60, width: 2, to: &output)
        output.append(UInt8(ascii: ":"))
        digits(seconds % 60, width: 2, to: &output)
        let fraction = microseconds % 1_000_000
        guard fraction > 0 else { return }
        output.append(UInt8(ascii: "."))
        digits(fraction, width: 6, to: &output)
        while output.last == 0x30 { output.removeLast() }
    }

    static func hex(_ byte: UInt8, to output: inout [UInt8]) {
        let (high, low) = (byte >> 4, byte & 15)
        output.append(high < 10 ? high + 0x30 : high + 0x57)
        output.append(low < 10 ? low + 0x30 : low + 0x57)
    }

    /// `\x` and the bytes in hexadecimal.
    static func bytea(_ value: Bytes, to output: inout [UInt8]) {
        output.append(contentsOf: "\\x".utf8)
        for byte in value { hex(byte, to: &output) }
    }

    static func interval(_ value: Interval, to output: inout [UInt8]) {
        let start = output.count
        var negativeBefore = false
        func part(_ amount: Int64, _ unit: String, _ output: inout [UInt8]) {
            guard amount != 0 else { return }
            if output.count > start { output.append(UInt8(ascii: " ")) }
            if amount > 0, negativeBefore { output.append(UInt8(ascii: "+")) }
            write(amount, to: &output)
            output.append(contentsOf: " \(unit)\(amount == 1 ? "" : "s")".utf8)
            negativeBefore = amount < 0
        }
        part(Int64(value.months / 12), "year", &output)
        part(Int64(value.months % 12), "mon", &output)
        part(Int64(value.days), "day", &output)
        guard value.microseconds != 0 || output.count == start else { return }
        if output.count > start { output.append(UInt8(ascii: " ")) }
        if value.microseconds < 0 {
            output.append(UInt8(ascii: "-"))
        } else if negativeBefore {
            output.append(UInt8(ascii: "+"))
        }
        clock(value.microseconds.magnitude, to: &output)
    }
}
