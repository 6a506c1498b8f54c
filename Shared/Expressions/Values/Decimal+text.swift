extension Decimal {
    /// Reads a number as PostgreSQL's input function does, but for blanks around it; nil if it is none.
    init?(_ text: ArraySlice<UInt8>) {
        var index = text.startIndex
        var negative = false
        if index < text.endIndex, text[index] == UInt8(ascii: "-") || text[index] == UInt8(ascii: "+") {
            negative = text[index] == UInt8(ascii: "-")
            index += 1
        }
        guard index < text.endIndex else { return nil }
        if text[index] > UInt8(ascii: "9") {
            self.init(special: text[index...], negative: negative, isSigned: index > text.startIndex)
            return
        }
        var mantissa: UInt128 = 0
        var digits = 0
        var fits = true
        var scale = 0
        var seenPoint = false
        let start = index
        while index < text.endIndex {
            let byte = text[index]
            if byte == UInt8(ascii: "."), !seenPoint {
                seenPoint = true
            } else {
                let digit = byte &- 0x30
                guard digit < 10 else { break }
                if fits { mantissa = mantissa &* 10 &+ UInt128(digit) }
                if mantissa > 1_000_000_000_000_000_000_000_000_000_000_000_000 { fits = false }
                digits += 1
                if seenPoint { scale += 1 }
            }
            index += 1
        }
        guard digits > 0 else { return nil }
        let end = index
        if index < text.endIndex {
            guard let exponent = Self.exponent(text[index...]) else { return nil }
            scale -= exponent
        }
        // The digits after the one that went over the limit have not been read.
        if fits {
            let value = Int128(mantissa)
            self = Self.scaled(.small(negative ? -value : value, scale: 0), scale: scale)
        } else {
            let values = text[start..<end].compactMap { $0 == UInt8(ascii: ".") ? nil : $0 &- 0x30 }
            self = Self.scaled(
                Decimal(BigInteger(digits: values, isNegative: negative), scale: 0), scale: scale)
        }
    }

    private init?(special text: ArraySlice<UInt8>, negative: Bool, isSigned: Bool) {
        switch String(decoding: text, as: UTF8.self).lowercased() {
        case "nan" where !isSigned: self = .nan
        case "infinity", "inf": self = .infinity(negative: negative)
        default: return nil
        }
    }

    /// The exponent of `e±digits`, within what numeric can hold.
    private static func exponent(_ text: ArraySlice<UInt8>) -> Int? {
        guard text.first.map({ $0 | 0x20 }) == UInt8(ascii: "e"),
            let value = Int(String(decoding: text.dropFirst(), as: UTF8.self)),
            abs(value) <= maximumWeight
        else { return nil }
        return value
    }

    /// A whole number brought to a scale, which may be negative.
    private static func scaled(_ whole: Decimal, scale: Int) -> Decimal {
        if scale >= 0 {
            return switch whole {
            case .small(let mantissa, _): .small(mantissa, scale: scale)
            default: Decimal(whole.mantissa, scale: scale)
            }
        }
        return Decimal(whole.mantissa * .powerOfTen(-scale), scale: 0)
    }

    /// Appends the number as PostgreSQL prints it.
    func write(to output: inout [UInt8]) {
        switch self {
        case .nan: output.append(contentsOf: "NaN".utf8)
        case .infinity(let negative):
            output.append(contentsOf: negative ? "-Infinity".utf8 : "Infinity".utf8)
        case .small(let mantissa, let scale):
            if mantissa < 0 { output.append(UInt8(ascii: "-")) }
            Self.write(mantissa.magnitude, scale: scale, to: &output)
        case .large(let mantissa, let scale):
            if mantissa.isNegative { output.append(UInt8(ascii: "-")) }
            let digits = mantissa.digits
            let whole = digits.count - scale
            if whole <= 0 {
                output.append(UInt8(ascii: "0"))
            } else {
                output.append(contentsOf: digits[..<whole].lazy.map { $0 + 0x30 })
            }
            guard scale > 0 else { return }
            output.append(UInt8(ascii: "."))
            if whole < 0 { output.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: -whole)) }
            output.append(contentsOf: digits[max(whole, 0)...].lazy.map { $0 + 0x30 })
        }
    }

    private static func write(_ magnitude: UInt128, scale: Int, to output: inout [UInt8]) {
        let digits = max(digitCount(magnitude), scale + 1)
        let start = output.count
        output.append(contentsOf: repeatElement(0x30, count: digits + (scale > 0 ? 1 : 0)))
        // Filled from the end; the zeros before the first digit are there already.
        var place = output.count - 1
        var left = scale
        func put(_ low: UInt64, _ count: Int) {
            var low = low
            var count = count
            while count > 0, place >= start {
                if left == 0, scale > 0, place == output.count - 1 - scale {
                    output[place] = UInt8(ascii: ".")
                    place -= 1
                }
                output[place] = UInt8(truncatingIfNeeded: low % 10) + 0x30
                low /= 10
                place -= 1
                left -= left > 0 ? 1 : 0
                count -= 1
            }
        }
        var rest = magnitude
        while rest > UInt128(UInt64.max) {
            let parts = rest.quotientAndRemainder(dividingBy: 10_000_000_000_000_000_000)
            put(UInt64(truncatingIfNeeded: parts.remainder), 19)
            rest = parts.quotient
        }
        put(UInt64(truncatingIfNeeded: rest), digits)
    }

    var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The nearest float8.
    var double: Double {
        switch self {
        case .nan: return .nan
        case .infinity(let negative): return negative ? -.infinity : .infinity
        case .small(let mantissa, let scale) where mantissa.magnitude < 1 << 53 && scale <= 22:
            // Both are exact, so that the one division rounds correctly.
            return Double(Int64(truncatingIfNeeded: mantissa)) / Double(Self.powerOfTen(scale))
        default: return Double(text) ?? .nan
        }
    }

    /// The numeric that PostgreSQL makes of a float8: its 15 significant digits.
    init(float value: Double) {
        if value.isNaN {
            self = .nan
        } else if value.isInfinite {
            self = .infinity(negative: value < 0)
        } else if abs(value) < 1e15, value == value.rounded(.towardZero) {
            self = .small(Int128(Int64(value)), scale: 0)
        } else {
            self = FloatText.decimal(value, digits: 15)
        }
    }
}
