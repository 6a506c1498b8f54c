/// Which type the values of an untyped column have.
///
/// Every value has a type of its own:
/// - JSON booleans: bool. Integers within Int64: int8, beyond it: numeric. JSON numbers with a point or an exponent:
///   float8 where PostgreSQL prints the same value again of the nearest double, else numeric (`1e23`, of which it
///   prints 9.999999999999999e+22). Strings that are RFC 3339 with time and zone: timestamptz, other strings: text.
///   Arrays and objects: jsonb.
/// - Cells (CSV, a parsed line), by their content. They are text, which may only look like a number: a version, the
///   digest `1234e56`. So the type is one that prints their text again: int8 (digits without needless zeros, so that
///   `007` stays text), float8 (`1.9`), numeric (`1.10`), bool (`true` and `false` in lower, upper or title case),
///   timestamptz as above, date (`yyyy-mm-dd`), else text. Only numbers with both a point and an exponent (`1.5e-3`)
///   are numbers as in JSON, since nothing else is written so.
///
/// The column's type is the join of its values' types, whatever their order: of int8, float8 and numeric the widest,
/// where an int8 that a double does not hold and print makes float8 numeric; date and timestamptz join to timestamptz
/// in cells; in JSON, any other two types join to jsonb if either is jsonb or bool or a number, and to text otherwise;
/// in cells, any other two types join to text. NULLs say nothing.
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

    /// Like ``type(of:row:)``, of a value that does not fit a column of a type. A number that a float8 does not hold is
    /// a numeric, however it came: those of all kinds go together.
    public static func type(of column: Column, row: Int, missing known: ColumnType) -> ColumnType? {
        guard let type = type(of: column, row: row), known == .float8 else { return type(of: column, row: row) }
        switch type {
        case .int8, .float8, .numeric: return .numeric
        case .text:
            guard case .variant(let values) = column.storage else { return type }
            let text = values.arena.span.extracting(values.range(row))
            return DecimalShape.isCell(text) ? .numeric : .text
        default: return type
        }
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
    /// An int8 beyond ±2⁵³ that a double does not hold, or does not print.
    var hasWideInt = false

    /// Nothing that follows can change the type.
    var isSettled: Bool { isCells ? types.contains(.text) : types.contains(.jsonb) }

    mutating func addInt(_ value: Int64) {
        types.insert(.int8)
        if !hasWideInt, !DecimalShape.isFloat8(value) { hasWideInt = true }
    }

    mutating func add(_ kind: UInt8, _ text: Span<UInt8>) {
        switch VariantKind(rawValue: kind) {
        case .number: types.insert(DecimalShape.isFloat8Number(text) ? .float8 : .numeric)
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
            _ = types.insert(TextInput.inferredBool(text) != nil ? .bool : .text)
            return
        }
        if let type = DecimalShape.cellType(text) {
            switch type {
            case .int8: addInt((try? TextInput.int8(text)) ?? 0)
            case .float8: types.insert(.float8)
            default: types.insert(.numeric)
            }
        } else if TextInput.isoDay(text) != nil {
            types.insert(.date)
        } else {
            types.insert(TextInput.rfc3339(text) != nil ? .timestamptz : .text)
        }
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
