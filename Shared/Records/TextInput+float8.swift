private import Glibc

extension TextInput {
    /// `double precision`: what strtod(3) takes, the nearest double; `NaN`, `Infinity`, `inf` in any case.
    public static func float8(_ text: Span<UInt8>) throws(InputFault) -> Double {
        if let value = simpleFloat8(text) { return value }
        let word = text.extracting(trimmed(text))
        guard word.count > 0 else { throw .syntax }
        if let special = specialFloat8(word) { return special }
        // strtod wants a terminated string, and would go on after a NUL.
        var copy: [CChar] = []
        copy.reserveCapacity(word.count + 1)
        for i in 0..<word.count {
            guard word[i] != 0 else { throw .syntax }
            copy.append(CChar(bitPattern: word[i]))
        }
        copy.append(0)
        var used = 0
        var isOutOfRange = false
        let value = unsafe copy.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return 0.0 }
            var end: UnsafeMutablePointer<CChar>?
            errno = 0
            let value = unsafe strtod(start, &end)
            isOutOfRange = errno == ERANGE && (value == 0 || value.isInfinite)
            unsafe used = end.map { unsafe UnsafePointer($0) - start } ?? 0
            return value
        }
        guard used > 0 else { throw .syntax }
        if isOutOfRange {
            throw .float8Range(String(decoding: copy[..<used].map { UInt8(bitPattern: $0) }, as: UTF8.self))
        }
        guard used == word.count else { throw .syntax }
        return value
    }

    private static func specialFloat8(_ word: Span<UInt8>) -> Double? {
        guard word.count <= 9 else { return nil }
        if isWord(word, "nan") { return .nan }
        let isNegative = word[0] == 0x2D
        let hasSign = isNegative || word[0] == 0x2B
        let rest = word.extracting((hasSign ? 1 : 0)...)
        guard isWord(rest, "infinity") || isWord(rest, "inf") else { return nil }
        return isNegative ? -.infinity : .infinity
    }

    /// Decimal numbers of up to 2⁵³ times 10^±22: both parts are exact doubles, so one operation rounds correctly.
    private static func simpleFloat8(_ text: Span<UInt8>) -> Double? {
        var at = 0
        let count = text.count
        let isNegative = count > 0 && text[0] == 0x2D
        if isNegative { at = 1 }
        var mantissa: UInt64 = 0
        let first = at
        while at < count, isDigit(text[at]) {
            mantissa = mantissa &* 10 &+ UInt64(text[at] &- 0x30)
            at += 1
        }
        var digits = at - first
        var exponent = 0
        if at < count, text[at] == 0x2E {
            let point = at
            at += 1
            while at < count, isDigit(text[at]) {
                mantissa = mantissa &* 10 &+ UInt64(text[at] &- 0x30)
                at += 1
            }
            exponent = point + 1 - at
            digits -= exponent
        }
        // 19 digits cannot overflow 64 bits.
        guard at == count, digits > 0, digits <= 19, mantissa <= 1 << 53, exponent >= -22 else { return nil }
        let value = exponent == 0 ? Double(mantissa) : Double(mantissa) / powerOfTen(-exponent)
        return isNegative ? -value : value
    }

    /// 10 to the power of 0...22, exact.
    static func powerOfTen(_ exponent: Int) -> Double { powersOfTen[exponent] }

    private static let powersOfTen: InlineArray<23, Double> = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]
}
