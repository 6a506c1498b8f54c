/// How a decimal number is written.
struct DecimalShape {
    var hasPoint = false
    var hasExponent = false
    /// No needless zero in front: `0`, `0.5` and `10`, not `007`.
    var isPlain = true
    /// Where the first digit that is not 0 is, if there is one.
    var first = 0
    /// Digits from the first to the last that is not 0.
    var significant = 0
    /// The decimal exponent of the first significant digit.
    var magnitude = 0

    /// nil unless the text is `-?digits(.digits)?([eE][+-]?digits)?`.
    init?(_ text: Span<UInt8>) {
        var at = text.count > 0 && text[0] == 0x2D ? 1 : 0
        let start = at
        var trailingZeros = 0
        var beforeFirst = 0
        var pointAt: Int?
        var digits = 0
        while at < text.count, TextInput.isDigit(text[at]) || (text[at] == 0x2E && pointAt == nil) {
            if text[at] == 0x2E {
                pointAt = digits
                hasPoint = true
            } else {
                digits += 1
                if text[at] != 0x30 {
                    if significant == 0 { (beforeFirst, first) = (digits, at) }
                    significant += trailingZeros + 1
                    trailingZeros = 0
                } else if significant > 0 {
                    trailingZeros += 1
                }
            }
            at += 1
        }
        let whole = pointAt ?? digits
        guard whole > 0, pointAt != digits else { return nil }
        isPlain = whole == 1 || text[start] != 0x30
        var exponent = 0
        if at < text.count {
            guard text[at] | 0x20 == 0x65 else { return nil }
            hasExponent = true
            at += 1
            let isNegative = at < text.count && text[at] == 0x2D
            if at < text.count, isNegative || text[at] == 0x2B { at += 1 }
            guard at < text.count else { return nil }
            while at < text.count, TextInput.isDigit(text[at]) {
                exponent = min(exponent * 10 + Int(text[at] &- 0x30), 1 << 30)
                at += 1
            }
            guard at == text.count else { return nil }
            if isNegative { exponent = -exponent }
        }
        magnitude = significant == 0 ? 0 : whole - beforeFirst + exponent
    }

    /// Neither point nor exponent.
    var isInteger: Bool { !hasPoint && !hasExponent }
}

extension DecimalShape {
    /// Whether PostgreSQL prints the nearest double as the same number, in whichever form.
    static func isFloat8(_ text: Span<UInt8>) -> Bool {
        guard let shape = DecimalShape(text) else { return false }
        return isFloat8(text, shape)
    }

    /// Whether a JSON number beyond int8 is one: a whole number that is written with all its digits keeps them.
    static func isFloat8Number(_ text: Span<UInt8>) -> Bool {
        guard let shape = DecimalShape(text), !shape.isInteger || shape.significant == 0 else { return false }
        return isFloat8(text, shape)
    }

    /// Whether an int8 is a double that PostgreSQL prints as the same number.
    static func isFloat8(_ value: Int64) -> Bool {
        if value.magnitude <= 1 << 53 { return true }
        guard Int64(exactly: Double(value)) == value else { return false }
        var text: [UInt8] = []
        TextOutput.append(value, into: &text)
        return isFloat8(text.span)
    }

    private static func isFloat8(_ text: Span<UInt8>, _ shape: DecimalShape) -> Bool {
        // Every decimal of up to 15 digits comes back from a double (within its range). From 2⁵³ on it may lie half-way
        // between two, of which PostgreSQL prints neither by it.
        if shape.significant <= 15, shape.magnitude > -290, shape.magnitude < 15 { return true }
        guard shape.significant <= 17, abs(shape.magnitude) < 400, let value = try? TextInput.float8(text),
            value.isFinite
        else { return false }
        return prints(value, text, shape)
    }

    /// Whether PostgreSQL prints a double as the number that a text says.
    private static func prints(_ value: Double, _ text: Span<UInt8>, _ shape: DecimalShape) -> Bool {
        var printed: [UInt8] = []
        TextOutput.append(value, into: &printed)
        let other = printed.span
        if isSame(text, other) { return true }
        guard let its = DecimalShape(other), its.significant == shape.significant, its.magnitude == shape.magnitude,
            (text[0] == 0x2D) == (other[0] == 0x2D)
        else { return false }
        var (mine, theirs) = (shape.first, its.first)
        for _ in 0..<shape.significant {
            if text[mine] == 0x2E { mine += 1 }
            if other[theirs] == 0x2E { theirs += 1 }
            if text[mine] != other[theirs] { return false }
            mine += 1
            theirs += 1
        }
        return true
    }

    private static func isSame(_ one: Span<UInt8>, _ other: Span<UInt8>) -> Bool {
        guard one.count == other.count else { return false }
        for i in 0..<one.count where one[i] != other[i] { return false }
        return true
    }

    /// int8, float8 or numeric: which a cell is by what it says; nil where it is no number.
    static func cellType(_ text: Span<UInt8>) -> ColumnType? {
        guard let shape = DecimalShape(text), shape.isPlain else { return nil }
        if shape.hasExponent {
            if shape.hasPoint { return isFloat8(text, shape) ? .float8 : .numeric }
            return isPrinted(text) ? .float8 : nil
        }
        // Zero with a sign, which only a double has.
        if shape.significant == 0, text[0] == 0x2D { return .float8 }
        if !shape.hasPoint { return (try? TextInput.int8(text)) != nil ? .int8 : .numeric }
        // Without an exponent PostgreSQL prints doubles from 1e-4 to 1e15, and no zero at a fraction's end.
        guard text[text.count - 1] != 0x30, (-4..<15).contains(shape.magnitude) else { return .numeric }
        return isFloat8(text, shape) ? .float8 : .numeric
    }

    /// Whether a cell is a number: whether it has such a type.
    static func isCell(_ text: Span<UInt8>) -> Bool {
        guard let shape = DecimalShape(text), shape.isPlain else { return false }
        return shape.hasPoint || !shape.hasExponent || isPrinted(text)
    }

    /// Whether PostgreSQL prints the nearest double just so.
    private static func isPrinted(_ text: Span<UInt8>) -> Bool {
        guard text.count <= 25, let value = try? TextInput.float8(text) else { return false }
        var printed: [UInt8] = []
        TextOutput.append(value, into: &printed)
        return isSame(text, printed.span)
    }
}
