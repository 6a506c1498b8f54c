import Records

/// float8 as text.
enum FloatText {
    /// Appends the shortest text that reads back as the same number, in PostgreSQL's form.
    static func write(_ value: Double, to output: inout [UInt8]) {
        guard value.isFinite else {
            let text = value.isNaN ? "NaN" : (value < 0 ? "-Infinity" : "Infinity")
            output.append(contentsOf: text.utf8)
            return
        }
        let magnitude = value.magnitude
        if magnitude >= 0x1p53, magnitude < 1e37, let digits = unambiguous(magnitude) {
            if value.sign == .minus { output.append(UInt8(ascii: "-")) }
            writeScientific(digits.digits, digits.exponent, to: &output)
            return
        }
        guard magnitude < 1e15, magnitude == magnitude.rounded(.towardZero) else {
            TextOutput.append(value, into: &output)
            return
        }
        if value.sign == .minus { output.append(UInt8(ascii: "-")) }
        writeWhole(UInt64(magnitude), to: &output)
    }

    /// Digits in place of the shortest where these lie exactly between two doubles: PostgreSQL then takes one more,
    /// since not every reader rounds such a tie to even. Nil elsewhere. Below 2⁵³ a tie has too many digits.
    private static func unambiguous(_ value: Double) -> (digits: [UInt8], exponent: Int)? {
        let (digits, exponent) = shortest(value)
        guard exponent + 1 >= digits.count, value.ulp >= 2 else { return nil }
        func distance(_ digits: [UInt8], _ exponent: Int) -> BigInteger {
            let whole = BigInteger(digits: digits, isNegative: false) * .powerOfTen(exponent + 1 - digits.count)
            return (whole - BigInteger(Int128(value))).magnitude
        }
        let half = BigInteger(Int128(value.ulp / 2))
        guard distance(digits, exponent) == half else { return nil }
        for wanted in digits.count + 1..<18 {
            let longer = exact(value, digits: wanted, exponent: exponent)
            if BigInteger.compare(distance(longer.digits, longer.exponent), half) < 0 { return longer }
        }
        return nil
    }

    private static func writeScientific(_ digits: [UInt8], _ exponent: Int, to output: inout [UInt8]) {
        output.append(digits[0] + 0x30)
        output.append(UInt8(ascii: "."))
        output.append(contentsOf: digits[1...].lazy.map { $0 + 0x30 })
        output.append(contentsOf: "e+".utf8)
        writeWhole(UInt64(exponent), to: &output)
    }

    private static func writeWhole(_ value: UInt64, to output: inout [UInt8]) {
        let start = output.count
        var rest = value
        repeat {
            output.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
            rest /= 10
        } while rest > 0
        output[start...].reverse()
    }

    /// The shortest digits of a positive number, and the exponent of the first.
    static func shortest(_ value: Double) -> (digits: [UInt8], exponent: Int) {
        var digits: [UInt8] = []
        var exponent = 0
        var point: Int?
        var explicit = 0
        var text = value.description[...]
        if let mark = text.firstIndex(of: "e") {
            explicit = Int(text[text.index(after: mark)...]) ?? 0
            text = text[..<mark]
        }
        for byte in text.utf8 {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte - 0x30) }
        }
        exponent = (point ?? digits.count) - 1 + explicit
        let leading = digits.prefix { $0 == 0 }.count
        digits.removeFirst(leading)
        exponent -= leading
        while digits.count > 1, digits.last == 0 { digits.removeLast() }
        return (digits, exponent)
    }

    /// The number rounded to significant digits, half to even as `printf("%.15g")` does, as numeric.
    static func decimal(_ value: Double, digits wanted: Int) -> Decimal {
        let short = shortest(value.magnitude)
        var digits = short.digits
        var exponent = short.exponent
        if digits.count > wanted || !value.isNormal {
            (digits, exponent) = exact(value.magnitude, digits: wanted, exponent: short.exponent)
            // The shortest digits of a tiny number may begin one place above its own.
            if digits.count < wanted {
                (digits, exponent) = exact(value.magnitude, digits: wanted, exponent: short.exponent - 1)
            }
        }
        while digits.count > 1, digits.last == 0 { digits.removeLast() }
        let scale = digits.count - 1 - exponent
        let whole = BigInteger(digits: digits, isNegative: value < 0)
        return scale >= 0 ? Decimal(whole, scale: scale) : Decimal(whole * .powerOfTen(-scale), scale: 0)
    }

    /// The exact value rounded to `wanted` digits, where the first stands at 10^`exponent` (or one above, after a
    /// carry).
    private static func exact(_ value: Double, digits wanted: Int, exponent: Int) -> (digits: [UInt8], exponent: Int) {
        // value = significand × 2^power, exactly.
        let power = Int(value.exponent) - 52
        var numerator = BigInteger(Int128(value.significandBitPattern | (value.isNormal ? 1 << 52 : 0)))
        var denominator = BigInteger(1)
        let shift = value.isNormal ? power : -1074
        if shift >= 0 { numerator = numerator * powerOfTwo(shift) } else { denominator = powerOfTwo(-shift) }
        let places = wanted - 1 - exponent
        if places >= 0 {
            numerator = numerator * .powerOfTen(places)
        } else {
            denominator = denominator * .powerOfTen(-places)
        }
        let parts = numerator.quotientAndRemainder(dividingBy: denominator)
        let order = BigInteger.compare(parts.remainder + parts.remainder, denominator)
        let isOdd = (parts.quotient.digits.last ?? 0) % 2 == 1
        let rounded = order > 0 || (order == 0 && isOdd) ? parts.quotient + BigInteger(1) : parts.quotient
        let digits = rounded.digits
        return (digits, exponent + digits.count - wanted)
    }

    private static func powerOfTwo(_ exponent: Int) -> BigInteger {
        if exponent < 120 { return BigInteger(Int128(1) << Int128(exponent)) }
        let half = powerOfTwo(exponent / 2)
        return exponent % 2 == 0 ? half * half : half * half * BigInteger(2)
    }
}
