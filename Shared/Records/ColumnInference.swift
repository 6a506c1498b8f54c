/// Which type the values of an untyped column have.
///
/// Every value has a type of its own:
/// - JSON booleans: bool. Integers within Int64: int8. Other JSON numbers: float8 where the nearest double prints the
///   same value again with at most 17 digits, else numeric. Strings that are RFC 3339 with time and zone: timestamptz,
///   other strings: text. Arrays and objects: jsonb.
/// - Cells (CSV), by their content: int8 (decimal digits without needless zeros, so that `007` stays text), float8 or
///   numeric as above (digits with a point or exponent), bool (`true` and `false` in lower, upper or title case),
///   timestamptz as above, date (`yyyy-mm-dd`), else text.
///
/// The column's type is the join of its values' types, whatever their order: of int8, float8 and numeric the widest,
/// where an int8 that a double cannot hold makes float8 numeric; date and timestamptz join to timestamptz in cells; in
/// JSON, any other two types join to jsonb if either is jsonb or bool or a number, and to text otherwise; in cells,
/// any other two types join to text. NULLs say nothing.
public enum ColumnInference {
    /// The type of a column, or nil where all values are NULL. A typed column's type is its own.
    public static func infer(_ column: Column) -> ColumnType? {
        if case .typed(let type) = column.type { return type }
        guard case .variant(let values) = column.storage else { return nil }
        var seen = Seen()
        let valid = column.validity.span
        let kinds = values.kinds.span
        let payloads = values.payloads.span
        let arena = values.arena.span
        for row in 0..<values.count {
            guard valid[row] != 0 else { continue }
            let kind = kinds[row]
            if kind == VariantKind.int.rawValue {
                seen.addInt(Int64(bitPattern: payloads[row]))
            } else if kind >= VariantKind.firstPlaced {
                seen.add(kind, arena.extracting(VariantColumn.range(of: payloads[row])))
                if seen.isSettled { break }
            } else if kind >= VariantKind.firstPresent {
                seen.types.insert(.bool)
            }
        }
        return seen.join
    }

    /// The type of one value, whatever the others of its column are; nil for NULL.
    public static func type(of column: Column, row: Int) -> ColumnType? {
        guard column.isPresent(row) else { return nil }
        if case .typed(let type) = column.type { return type }
        guard case .variant(let values) = column.storage else { return nil }
        var seen = Seen()
        switch values.kind(row) {
        case .missing, .null: return nil
        case .false, .true: seen.types.insert(.bool)
        case .int: seen.addInt(values.int(row))
        case .number, .string, .json, .cell:
            seen.add(values.kinds[row], values.arena.span.extracting(values.range(row)))
        }
        return seen.join
    }

    /// The type that holds the values of both, where columns of several batches meet: of int8, float8 and numeric the
    /// widest (int8 with float8 is numeric, since a double does not hold every int8); date with timestamptz is
    /// timestamptz; anything with jsonb, or a boolean or number with anything else, is jsonb; the rest is text.
    public static func join(_ one: ColumnType, _ other: ColumnType) -> ColumnType {
        if one == other { return one }
        let both: Set<ColumnType> = [one, other]
        if both.isSubset(of: [.int8, .float8, .numeric]) { return .numeric }
        if both == [.date, .timestamptz] { return .timestamptz }
        return both.isDisjoint(with: [.jsonb, .bool, .int8, .float8, .numeric]) ? .text : .jsonb
    }
}

/// The types that occurred.
private struct Seen {
    struct Types: OptionSet {
        let rawValue: UInt8
        static let bool = Types(rawValue: 1)
        static let int8 = Types(rawValue: 2)
        static let float8 = Types(rawValue: 4)
        static let numeric = Types(rawValue: 8)
        static let timestamptz = Types(rawValue: 16)
        static let date = Types(rawValue: 32)
        static let text = Types(rawValue: 64)
        static let jsonb = Types(rawValue: 128)
        static let numbers: Types = [.int8, .float8, .numeric]
    }

    var types: Types = []
    /// The values are cells.
    var isCells = false
    /// An int8 beyond ±2⁵³ that a double does not hold.
    var hasWideInt = false

    /// Nothing that follows can change the type.
    var isSettled: Bool { isCells ? types.contains(.text) : types.contains(.jsonb) }

    mutating func addInt(_ value: Int64) {
        types.insert(.int8)
        if Int64(exactly: Double(value)) != value { hasWideInt = true }
    }

    mutating func add(_ kind: UInt8, _ text: Span<UInt8>) {
        switch VariantKind(rawValue: kind) {
        case .number: types.insert(Self.isFloat8(text) ? .float8 : .numeric)
        case .string: types.insert(TextInput.rfc3339(text) != nil ? .timestamptz : .text)
        case .cell: addCell(text)
        default: types.insert(.jsonb)
        }
    }

    private mutating func addCell(_ text: Span<UInt8>) {
        isCells = true
        guard text.count > 0 else { return _ = types.insert(.text) }
        let first = text[0]
        guard TextInput.isDigit(first) || first == 0x2D else {
            _ = types.insert(Self.isBoolean(text) ? .bool : .text)
            return
        }
        if let shape = DecimalShape(text), shape.isPlain {
            if shape.isInteger, let value = try? TextInput.int8(text) { return addInt(value) }
            types.insert(Self.isFloat8(text) ? .float8 : .numeric)
        } else if text.count == 10, (try? TextInput.date(text)) != nil, text[4] == 0x2D {
            types.insert(.date)
        } else {
            types.insert(TextInput.rfc3339(text) != nil ? .timestamptz : .text)
        }
    }

    private static func isBoolean(_ text: Span<UInt8>) -> Bool {
        guard TextInput.isWord(text, "true") || TextInput.isWord(text, "false") else { return false }
        // true, True, TRUE; not tRUE.
        let isUpper = text[1] < 0x61
        if isUpper, text[0] >= 0x61 { return false }
        for i in 2..<text.count where (text[i] < 0x61) != isUpper { return false }
        return true
    }

    /// Whether the nearest double stands for the same decimal value.
    private static func isFloat8(_ text: Span<UInt8>) -> Bool {
        guard let shape = DecimalShape(text) else { return false }
        // Every decimal of up to 15 digits comes back from a double (within its range).
        if shape.significant <= 15, abs(shape.magnitude) < 290 { return true }
        guard shape.significant <= 17, let value = try? TextInput.float8(text), value.isFinite else { return false }
        var printed: [UInt8] = []
        TextOutput.append(value, into: &printed)
        var canonical: [UInt8] = []
        var back: [UInt8] = []
        guard abs(shape.magnitude) < 400, (try? TextInput.numeric(text, into: &canonical)) != nil,
            (try? TextInput.numeric(printed.span, into: &back)) != nil
        else { return false }
        return DecimalShape.trimmed(canonical) == DecimalShape.trimmed(back)
    }

    var join: ColumnType? {
        if types.isEmpty { return nil }
        if types.isSubset(of: .numbers) {
            if types.contains(.numeric) || (types.contains(.float8) && hasWideInt) { return .numeric }
            return types.contains(.float8) ? .float8 : .int8
        }
        switch types {
        case .bool: return .bool
        case .timestamptz: return .timestamptz
        case .date: return .date
        case .text: return .text
        case [.date, .timestamptz] where isCells: return .timestamptz
        case [.text, .timestamptz]: return .text
        default: return isCells ? .text : .jsonb
        }
    }
}

/// How a decimal number is written.
struct DecimalShape {
    /// No point and no exponent.
    var isInteger = true
    /// No needless zero in front: `0`, `0.5` and `10`, not `007`.
    var isPlain = true
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
                isInteger = false
            } else {
                digits += 1
                if text[at] != 0x30 {
                    if significant == 0 { beforeFirst = digits }
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
            isInteger = false
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

    /// A canonical numeric without the zeros at its fraction's end.
    static func trimmed(_ text: [UInt8]) -> ArraySlice<UInt8> {
        guard text.contains(0x2E) else { return text[...] }
        var end = text.count
        while text[end - 1] == 0x30 { end -= 1 }
        if text[end - 1] == 0x2E { end -= 1 }
        return text[..<end]
    }
}
