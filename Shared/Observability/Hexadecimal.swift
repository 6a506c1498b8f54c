/// Lower-case hexadecimal digits.
enum Hexadecimal {
    static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? 48 + value : 87 + value
    }

    /// The value of a digit; capitals are refused, as the trace context wants it.
    static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - 87
        default: nil
        }
    }

    /// The number that a run of digits spells; nil for anything else. At most 16 digits.
    static func parse(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard !digits.isEmpty, digits.count <= 16 else { return nil }
        var number: UInt64 = 0
        for digit in digits {
            guard let value = value(digit) else { return nil }
            number = number << 4 | UInt64(value)
        }
        return number
    }

    /// Writes the lowest `digits` digits of the number; the output has room for them.
    static func append(_ number: UInt64, digits: Int, to output: inout OutputSpan<UInt8>) {
        var shift = UInt64(4 * digits)
        while shift > 0 {
            shift &-= 4
            output.append(digit(UInt8(truncatingIfNeeded: number &>> shift) & 0xF))
        }
    }
}
