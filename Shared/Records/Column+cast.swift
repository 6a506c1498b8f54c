/// A column after a cast, and what could not be cast.
public struct CastResult: Sendable {
    /// The typed column; values that failed are NULL in it.
    public var column: Column
    /// One fault for each value that failed, in row order.
    public var faults: [RowFault]
    /// The rows (indexes in the column, not ordinals) of the faults.
    public var failed: [Int]

    public init(column: Column, faults: [RowFault] = [], failed: [Int] = []) {
        self.column = column
        self.faults = faults
        self.failed = failed
    }
}

extension Column {
    /// The column as another type.
    ///
    /// - From text, and from untyped values by their text: PostgreSQL's input rules (``TextInput``). A JSON number's
    ///   text is as it was written, so that `1.0` is no int8.
    /// - To jsonb from JSON values: the value itself, a string as a JSON string. From text and cells: the text is
    ///   parsed.
    /// - To text from any type: as PostgreSQL prints the type.
    /// - Between int8, float8, numeric, and between timestamptz and date (in UTC): as PostgreSQL converts them.
    /// - Otherwise every present value fails with `cannot_cast`; see ``canCast(from:to:)``.
    ///
    /// - Parameters:
    ///   - rows: the record ordinal of each row, for the faults.
    ///   - name: the column's name, for the faults.
    public func cast(to target: ColumnType, rows: [Int32], name: String, step: String? = nil) -> CastResult {
        if type == .typed(target) { return CastResult(column: self) }
        return cast(with: Caster(target: target, rows: rows, name: name, step: step, validity: validity))
    }

    /// The column as a dataset's column of a type takes it: like ``cast(to:rows:name:step:)``, but no value becomes
    /// another one on the way. One that would has a fault.
    ///
    /// - float8 and numeric are int8 where they are whole numbers within it; float8 is numeric by its shortest digits;
    ///   timestamptz is date at midnight UTC.
    /// - To a declared float8 any number within it goes, as the nearest double: who declares it asks for that. To an
    ///   inferred one only a number that the double prints again.
    /// - A JSON number is no timestamptz and no date, and a text with a time of day, but midnight UTC, is no date.
    /// - To a column that was inferred no text is read that only PostgreSQL's input rules take for its type: a text
    ///   is what ``ColumnInference`` says of a cell, and goes where that type does without loss. `no` is no bool then,
    ///   `007` no int8, `1/2/2024` no timestamptz.
    public func fit(to target: ColumnType, isDeclared: Bool, rows: [Int32], name: String) -> CastResult {
        if type == .typed(target) { return CastResult(column: self) }
        return cast(
            with: Caster(
                target: target, rule: isDeclared ? .declared : .inferred, rows: rows, name: name, step: nil,
                validity: validity))
    }

    private func cast(with caster: consuming Caster) -> CastResult {
        let storage = caster.cast(self)
        return CastResult(
            column: Column(type: .typed(caster.target), validity: caster.validity, storage: storage),
            faults: caster.faults, failed: caster.failed)
    }

    /// Whether values of one type can be cast to another at all.
    public static func canCast(from: ColumnType, to: ColumnType) -> Bool {
        if from == to || from == .text || to == .text { return true }
        let numbers: Set<ColumnType> = [.int8, .float8, .numeric]
        let times: Set<ColumnType> = [.timestamptz, .date]
        return (numbers.contains(from) && numbers.contains(to)) || (times.contains(from) && times.contains(to))
    }
}

/// One cast in progress: where its faults gather.
struct Caster {
    /// What may become of a value.
    enum Rule {
        /// What PostgreSQL's casts make of it.
        case conversion
        /// The same value, in a column that was declared or in one that was inferred: see ``Column/fit``.
        case declared, inferred
    }

    let target: ColumnType
    let rule: Rule
    let rows: [Int32]
    let name: String
    let step: String?
    var validity: [UInt8]
    var faults: [RowFault] = []
    var failed: [Int] = []

    init(
        target: ColumnType, rule: Rule = .conversion, rows: [Int32], name: String, step: String?, validity: [UInt8]
    ) {
        self.target = target
        self.rule = rule
        self.rows = rows
        self.name = name
        self.step = step
        self.validity = validity
    }

    /// Notes a fault. A slot without a value has none, whatever lies in it.
    mutating func fail(_ row: Int, code: String, _ message: String) {
        guard validity[row] != 0 else { return }
        validity[row] = 0
        failed.append(row)
        let ordinal = row < rows.count ? rows[row] : Int32(row)
        faults.append(RowFault(row: ordinal, code: code, step: step, column: name, message: message))
    }

    mutating func fail(_ row: Int, _ fault: InputFault, _ text: Span<UInt8>) {
        let shown = unsafe text.withUnsafeBufferPointer { unsafe String(decoding: $0.prefix(400), as: UTF8.self) }
        fail(row, code: fault.code, fault.message(target, shown))
    }

    mutating func cast(_ column: Column) -> ColumnStorage {
        switch column.storage {
        case .variant(let values): return cast(TextSource(variant: values))
        case .bytes(let values) where column.type == .typed(.text):
            return cast(TextSource(text: values, validity: validity))
        default: break
        }
        guard case .typed(let type) = column.type else { return castNothing(column, "untyped") }
        if target == .text { return .bytes(TextOutput.texts(of: column)) }
        let storage = rule == .conversion ? convert(column, from: type) : fit(column, from: type)
        if let storage { return storage }
        return castNothing(column, type.displayName)
    }

    private mutating func castNothing(_ column: Column, _ type: String) -> ColumnStorage {
        for row in 0..<column.count where column.isPresent(row) {
            fail(row, code: "cannot_cast", "cannot cast type \(type) to \(target.displayName)")
        }
        return ColumnStorage.zeros(for: target, count: column.count)
    }
}

/// Untyped or text values to be read as another type: the values' kinds, and of each its text or its int.
struct TextSource {
    var values: VariantColumn
    /// Text of the PostgreSQL type, rather than JSON's or a cell's.
    var isText: Bool

    init(variant: VariantColumn) {
        values = variant
        isText = false
    }

    init(text: ByteColumn, validity: [UInt8]) {
        let kinds = validity.map { $0 != 0 ? VariantKind.cell.rawValue : VariantKind.null.rawValue }
        var payloads = [UInt64](repeating: 0, count: text.count)
        for row in 0..<text.count {
            payloads[row] = UInt64(text.offsets[row]) << 32 | UInt64(text.offsets[row + 1] &- text.offsets[row])
        }
        values = VariantColumn(kinds: kinds, payloads: payloads, arena: text.data)
        isText = true
    }
}
