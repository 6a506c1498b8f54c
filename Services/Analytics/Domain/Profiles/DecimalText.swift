/// Numbers as PostgreSQL writes `numeric`, compared and cut as text: of however many digits.
enum DecimalText {
    /// Without the zeros that end a fraction: 1.50 and 1.5 are equal.
    static func trimmed(_ text: Span<UInt8>) -> Range<Int> {
        var end = text.count
        var hasPoint = false
        for at in text.indices where text[at] == 0x2E { hasPoint = true }
        guard hasPoint else { return 0..<end }
        while text[end - 1] == 0x30 { end -= 1 }
        if text[end - 1] == 0x2E { end -= 1 }
        return 0..<end
    }

    /// Whether a finite number is less than another; both trimmed.
    static func isLess(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
        let isNegative = left.first == 0x2D
        guard isNegative == (right.first == 0x2D) else { return isNegative }
        return isNegative
            ? isSmaller(right.dropFirst(), left.dropFirst()) : isSmaller(left, right)
    }

    private static func isSmaller(_ left: ArraySlice<UInt8>, _ right: ArraySlice<UInt8>) -> Bool {
        let whole = (wholeDigits(left), wholeDigits(right))
        if whole.0 != whole.1 { return whole.0 < whole.1 }
        return left.lexicographicallyPrecedes(right)
    }

    private static func wholeDigits(_ text: ArraySlice<UInt8>) -> Int {
        text.firstIndex(of: 0x2E).map { $0 - text.startIndex } ?? text.count
    }
}
