import Records

/// Fits the rows that a pipeline made to a dataset: each column gets the dataset's type, new ones are asked for, and
/// what does not fit goes where the dataset's settings say.
///
/// Fitting may need an agreement on new columns first, which is I/O; so it goes in two steps: ``plan()`` says which
/// columns are wanted, ``fit()`` uses what all have agreed on by then. A column that another batch added meanwhile with
/// another type is simply fitted to that one. Each column is cast once for each type it meets.
struct OutputFitter {
    /// Rows as the dataset takes them.
    struct Fitted {
        /// Columns in the dataset's order, all typed; then `_extra` where a row has any, and `_deleted` where one
        /// deletes.
        var batch: RecordBatch
        var faults: [RowFault]
    }

    static let extraColumn = "_extra"
    static let deletedColumn = "_deleted"

    /// What all agree on; set anew after an agreement.
    var schema: DatasetSchema
    private let batch: RecordBatch
    /// For each row whether it deletes: then it needs no more than the key. Nil where none does.
    private let deletes: [UInt8]?
    private var casts: [String: (type: ColumnType, declared: Bool, result: CastResult)] = [:]

    init(_ batch: RecordBatch, deletes: [UInt8]? = nil, to schema: DatasetSchema) {
        self.batch = batch
        self.deletes = deletes
        self.schema = schema
    }

    /// The columns that the dataset lacks for these rows, with the types they would get; no name comes twice.
    mutating func plan() -> [(name: String, type: ColumnType)] {
        var wanted: [(name: String, type: ColumnType)] = []
        var names: Set<String> = []
        func want(_ name: String, _ type: ColumnType) {
            guard !schema.isTaken(name), ColumnName.fault(name) == nil, names.insert(name).inserted else { return }
            wanted.append((name, type))
        }
        for named in batch.columns {
            if let known = schema.column(named.name) {
                for misfits in misfits(named, known) { want(misfits.column, misfits.type) }
            } else if schema.settings.onNewColumn == .add, let type = ColumnInference.infer(named.column) {
                want(named.name, type)
            }
        }
        return wanted
    }

    /// The rows with the dataset's columns. Rows that do not fit are left out and have a fault.
    mutating func fit() -> Fitted {
        var faults: [RowFault] = []
        var typed: [String: Column] = [:]
        var left: [NamedColumn] = []
        var misplaced: [Misfits] = []
        for named in batch.columns {
            guard let known = schema.column(named.name), known.state != .extra else {
                left.append(named)
                continue
            }
            let cast = cast(named, to: known)
            typed[known.name] = cast.column
            if schema.settings.onTypeMismatch == .quarantine { faults += cast.faults }
            misplaced += misfits(named, known)
        }
        // After the fields that the columns are named after.
        for misfits in misplaced {
            var lost = misfits.rows
            if let column = schema.column(misfits.column), column.state != .extra {
                lost = misfits.settle(in: &typed[column.name], of: column, batch.rows)
            }
            if !lost.isEmpty { left.append(NamedColumn(misfits.field, misfits.values.keeping(lost))) }
        }
        let extra = ExtraFields(batch, left)
        if schema.settings.onNewColumn == .quarantine {
            faults += extra.faults(batch.rows) { schema.column($0) != nil }
        }
        return assemble(typed, extra.column, faults)
    }

    /// What of a field goes to columns of its own. A row that lacks what its column must have is turned down instead.
    private mutating func misfits(_ named: NamedColumn, _ known: AgreedColumn) -> [Misfits] {
        guard schema.settings.onTypeMismatch == .variant, known.state != .extra, known.nullable else { return [] }
        return Misfits.sorted(named, cast(named, to: known).failed, missing: known.type)
    }

    private mutating func cast(_ named: NamedColumn, to column: AgreedColumn) -> CastResult {
        if let known = casts[named.name], known.type == column.type, known.declared == column.declared {
            return known.result
        }
        let result = named.column.fit(
            to: column.type, isDeclared: column.declared, rows: batch.rows, name: named.name)
        casts[named.name] = (column.type, column.declared, result)
        return result
    }

    private func assemble(_ typed: [String: Column], _ extra: Column?, _ found: [RowFault]) -> Fitted {
        var faults = found
        var columns: [NamedColumn] = []
        for column in schema.columns where column.state != .extra {
            let values = typed[column.name] ?? .nulls(column.type, count: batch.rowCount)
            // What the table has not got yet holds up only those who bring values for it.
            let isNeeded = column.state == .applied || values.nullCount < values.count
            if !column.nullable { faults += missing(column, values) }
            if isNeeded { columns.append(NamedColumn(column.name, values)) }
        }
        if let extra { columns.append(NamedColumn(Self.extraColumn, extra)) }
        if let deletes { columns.append(NamedColumn(Self.deletedColumn, Column(.bool, .bool(deletes)))) }
        var fitted = RecordBatch(rows: batch.rows, columns: columns)
        if !faults.isEmpty {
            let bad = Set(faults.map(\.row))
            fitted.keep(batch.rows.map { bad.contains($0) ? 0 : 1 })
        }
        return Fitted(batch: fitted, faults: faults)
    }

    /// Faults of the rows that lack what a column must have. Where they had a value that is none of its type, that is
    /// the reason.
    private func missing(_ column: AgreedColumn, _ values: Column) -> [RowFault] {
        let excused = schema.primaryKey.contains(column.name) ? nil : deletes
        let cast = casts[column.name]?.result
        var faults: [RowFault] = []
        var next = 0
        for row in 0..<batch.rowCount where !values.isPresent(row) && excused?[row] != 1 {
            while let cast, next < cast.failed.count, cast.failed[next] < row { next += 1 }
            if let cast, next < cast.failed.count, cast.failed[next] == row {
                // With `quarantine` it is among the faults already.
                if schema.settings.onTypeMismatch != .quarantine { faults.append(cast.faults[next]) }
            } else {
                faults.append(
                    RowFault(
                        row: batch.rows[row], code: "not_null", column: column.name,
                        message: "null value in column \"\(column.name)\""))
            }
        }
        return faults
    }
}
