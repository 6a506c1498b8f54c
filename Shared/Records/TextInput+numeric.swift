extension TextInput {
    /// `numeric`: appends the value as PostgreSQL prints it, every digit kept: `1.50e1` gives `15.0`, `-0` gives `0`.
    ///
    /// Up to 131,072 digits before the point and 16,383 after it, else `range`.
    public static func numeric(_ text: Span<UInt8>, into output: inout [UInt8]) throws(InputFault) {
        if appendPlainNumeric(text, into: &output) { return }
        let word = text.extracting(trimmed(text))
        guard word.count > 0 else { throw .syntax }
        if appendSpecialNumeric(word, into: &output) { return }
        let parts = try NumericParts(word)
        guard parts.scale <= 16_383 else { throw .range }
        if parts.significant == 0 {
            appendZero(scale: parts.scale, into: &output)
            return
        }
        guard parts.wholeDigits <= 131_072 else { throw .range }
        if parts.isNegative { output.append(0x2D) }
        appendDigits(word, parts, into: &output)
    }

    private static func appendSpecialNumeric(_ word: Span<UInt8>, into output: inout [UInt8]) -> Bool {
        guard word.count <= 9 else { return false }
        if isWord(word, "nan") {
            output += [0x4E, 0x61, 0x4E]
            return true
        }
        let isNegative = word[0] == 0x2D
        let hasSign = isNegative || word[0] == 0x2B
        let rest = word.extracting((hasSign ? 1 : 0)...)
        guard isWord(rest, "infinity") || isWord(rest, "inf") else { return false }
        if isNegative { output.append(0x2D) }
        output.append(contentsOf: "Infinity".utf8)
        return true
    }

    /// Appends a number that is already written as PostgreSQL prints it.
    private static func appendPlainNumeric(_ text: Span<UInt8>, into output: inout [UInt8]) -> Bool {
        var at = 0
        let count = text.count
        guard count <= 1_000 else { return false }
        if count > 0, text[0] == 0x2D { at = 1 }
        let whole = at
        var nonzero: UInt8 = 0
        while at < count, isDigit(text[at]) {
            nonzero |= text[at] & 0x0F
            at += 1
        }
        guard at > whole, text[whole] != 0x30 || at == whole + 1 else { return false }
        if at < count, text[at] == 0x2E {
            at += 1
            guard at < count else { return false }
            while at < count, isDigit(text[at]) {
                nonzero |= text[at] & 0x0F
                at += 1
            }
        }
        guard at == count, nonzero != 0 || whole == 0 else { return false }
        unsafe text.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
        return true
    }

    private static func appendZero(scale: Int, into output: inout [UInt8]) {
        output.append(0x30)
        guard scale > 0 else { return }
        output.append(0x2E)
        output.append(contentsOf: repeatElement(0x30, count: scale))
    }

    private static func appendDigits(_ word: Span<UInt8>, _ parts: NumericParts, into output: inout [UInt8]) {
        // Digit i of the value stands before the point for i < wholeDigits; there may be fewer or more than written.
        var left = parts.wholeDigits
        if left <= 0 {
            output.append(0x30)
            if parts.scale > 0 { output.append(0x2E) }
            output.append(contentsOf: repeatElement(0x30, count: -left))
        }
        var fraction = max(0, -left)
        var at = parts.firstSignificant
        while at < parts.mantissaEnd, left > 0 || fraction < parts.scale {
            let byte = word[at]
            at += 1
            guard byte != 0x2E else { continue }
            output.append(byte)
            if left > 0 {
                left -= 1
                if left == 0, parts.scale > 0 { output.append(0x2E) }
            } else {
                fraction += 1
            }
        }
        if left > 0 {
            output.append(contentsOf: repeatElement(0x30, count: left))
            if parts.scale > 0 { output.append(0x2E) }
        }
        if fraction < parts.scale { output.append(contentsOf: repeatElement(0x30, count: parts.scale - fraction)) }
    }
}

/// A decimal number's layout in its text.
private struct NumericParts {
    var isNegative = false
    /// Where the first digit other than 0 is, and where mantissa ends.
    var firstSignificant = 0
    var mantissaEnd = 0
    /// Digits from the first significant one on; 0 for zero.
    var significant = 0
    /// Digits of the value before the point, not counting leading zeros; negative where zeros follow the point.
    var wholeDigits = 0
    /// Digits after the point.
    var scale = 0

    init(_ word: Span<UInt8>) throws(InputFault) {
        var at = 0
        let count = word.count
        if word[0] == 0x2D || word[0] == 0x2B {
            isNegative = word[0] == 0x2D
            at = 1
        }
        var digits = 0
        var beforePoint: Int?
        var leadingZeros = 0
        while at < count {
            let byte = word[at]
            if byte == 0x2E {
                guard beforePoint == nil else { throw .syntax }
                beforePoint = digits
            } else if TextInput.isDigit(byte) {
                if byte != 0x30, significant == 0 {
                    firstSignificant = at
                    leadingZeros = digits
                    significant = 1
                }
                digits += 1
            } else {
                break
            }
            at += 1
        }
        guard digits > 0 else { throw .syntax }
        mantissaEnd = at
        let exponent = try Self.exponent(word, from: at)
        let whole = beforePoint ?? digits
        scale = max(0, digits - whole - exponent)
        if significant != 0 {
            significant = digits - leadingZeros
            wholeDigits = whole - leadingZeros + exponent
        }
    }

    private static func exponent(_ word: Span<UInt8>, from start: Int) throws(InputFault) -> Int {
        guard start < word.count else { return 0 }
        guard word[start] | 0x20 == 0x65 else { throw .syntax }
        var at = start + 1
        var isNegative = false
        // strtol, which PostgreSQL reads the exponent with, passes over white space.
        while at < word.count, TextInput.isSpace(word[at]) { at += 1 }
        if at < word.count, word[at] == 0x2D || word[at] == 0x2B {
            isNegative = word[at] == 0x2D
            at += 1
        }
        guard at < word.count, TextInput.isDigit(word[at]) else { throw .syntax }
        var value = 0
        while at < word.count, TextInput.isDigit(word[at]) {
            value = min(value * 10 + Int(word[at] &- 0x30), 1 << 40)
            at += 1
        }
        guard value < Int(Int32.max) / 2 else { throw .range }
        guard at == word.count else { throw .syntax }
        return isNegative ? -value : value
    }
}
