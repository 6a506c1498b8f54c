import JSON
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

    /// Where values go that their column cannot hold: a column of its own, named after both.
    static func variantName(_ column: String, _ type: ColumnType) -> String { "\(column)__\(type.rawValue)" }

    static let extraColumn = "_extra"
    static let deletedColumn = "_deleted"
    static let longestName = 63

    /// What all agree on; set anew after an agreement.
    var schema: DatasetSchema
    private let batch: RecordBatch
    /// For each row whether it deletes: then it needs no more than the key. Nil where none does.
    private let deletes: [UInt8]?
    private var casts: [String: (type: ColumnType, result: CastResult)] = [:]

    init(_ batch: RecordBatch, deletes: [UInt8]? = nil, to schema: DatasetSchema) {
        self.batch = batch
        self.deletes = deletes
        self.schema = schema
    }

    /// The columns that the dataset lacks for these rows, with the types they would get.
    mutating func plan() -> [(name: String, type: ColumnType)] {
        var wanted: [(name: String, type: ColumnType)] = []
        for named in batch.columns {
            if let known = schema.column(named.name) {
                guard schema.settings.onTypeMismatch == .variant, known.state != .extra else { continue }
                let failed = cast(named, to: known.type).failed
                if let variant = variant(of: named, failed: failed), schema.column(variant.name) == nil {
                    wanted.append((variant.name, variant.type))
                }
            } else if schema.settings.onNewColumn == .add, Self.isName(named.name),
                let type = ColumnInference.infer(named.column)
            {
                wanted.append((named.name, type))
            }
        }
        return wanted
    }

    /// The rows with the dataset's columns. Rows that do not fit are left out and have a fault.
    mutating func fit() -> Fitted {
        var faults: [RowFault] = []
        var typed: [String: Column] = [:]
        var left: [NamedColumn] = []
        for named in batch.columns {
            guard let known = schema.column(named.name), known.state != .extra else {
                left.append(named)
                continue
            }
            let cast = cast(named, to: known.type)
            typed[known.name] = cast.column
            guard !cast.failed.isEmpty else { continue }
            switch schema.settings.onTypeMismatch {
            case .quarantine: faults += cast.faults
            case .null: break
            case .variant:
                guard let variant = variant(of: named, failed: cast.failed) else { continue }
                if let column = schema.column(variant.name), column.state != .extra, typed[column.name] == nil {
                    typed[column.name] =
                        variant.values.cast(to: column.type, rows: batch.rows, name: variant.name).column
                } else {
                    left.append(NamedColumn(named.name, variant.values))
                }
            }
        }
        let extra = extra(left, &faults)
        return assemble(typed, extra, faults)
    }

    private mutating func cast(_ named: NamedColumn, to type: ColumnType) -> CastResult {
        if let known = casts[named.name], known.type == type { return known.result }
        let result = named.column.cast(to: type, rows: batch.rows, name: named.name)
        casts[named.name] = (type, result)
        return result
    }

    private func assemble(_ typed: [String: Column], _ extra: Column?, _ found: [RowFault]) -> Fitted {
        var faults = found
        var columns: [NamedColumn] = []
        for column in schema.columns where column.state != .extra {
            let values = typed[column.name] ?? .nulls(column.type, count: batch.rowCount)
            if !column.nullable {
                let excused = schema.primaryKey.contains(column.name) ? nil : deletes
                for row in 0..<batch.rowCount where !values.isPresent(row) && excused?[row] != 1 {
                    faults.append(
                        RowFault(
                            row: batch.rows[row], code: "not_null", column: column.name,
                            message: "null value in column \"\(column.name)\""))
                }
            }
            columns.append(NamedColumn(column.name, values))
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

    /// The values that failed a cast, alone, and the column they would go to.
    private func variant(
        of named: NamedColumn, failed: [Int]
    ) -> (name: String, type: ColumnType, values: Column)? {
        guard !failed.isEmpty else { return nil }
        var values = named.column
        var validity = [UInt8](repeating: 0, count: values.count)
        for row in failed { validity[row] = 1 }
        if case .variant(var cells) = values.storage {
            for row in 0..<values.count where validity[row] == 0 { cells.kinds[row] = VariantKind.missing.rawValue }
            values.storage = .variant(cells)
        }
        values.validity = validity
        guard let type = ColumnInference.infer(values) else { return nil }
        let name = Self.variantName(named.name, type)
        return name.utf8.count <= Self.longestName ? (name, type, values) : nil
    }

    /// What has no column of its own, as one JSON object a row; nil where no row has any.
    private func extra(_ columns: [NamedColumn], _ faults: inout [RowFault]) -> Column? {
        let present = columns.filter { $0.column.nullCount < $0.column.count }
        guard batch.extra != nil || !present.isEmpty else { return nil }
        if schema.settings.onNewColumn == .quarantine {
            for named in present where schema.column(named.name) == nil {
                for row in 0..<batch.rowCount where named.column.isPresent(row) {
                    faults.append(
                        RowFault(
                            row: batch.rows[row], code: "unknown_column", column: named.name,
                            message: "the dataset has no column \"\(named.name)\""))
                }
            }
        }
        var validity = [UInt8](repeating: 0, count: batch.rowCount)
        var values = ByteColumn(reserving: batch.rowCount)
        for row in 0..<batch.rowCount {
            append(row, of: batch.extra, present, to: &values.data, &validity)
            values.endValue()
        }
        return Column(.jsonb, .bytes(values), validity: validity)
    }

    private func append(
        _ row: Int, of extra: Column?, _ columns: [NamedColumn], to data: inout [UInt8], _ validity: inout [UInt8]
    ) {
        if let extra, extra.isPresent(row), case .bytes(let texts) = extra.storage {
            data.append(contentsOf: texts[row])
            validity[row] = 1
        }
        for named in columns where named.column.isPresent(row) {
            if validity[row] == 1, data.last == UInt8(ascii: "}") {
                data.removeLast()
                if data.last != UInt8(ascii: "{") { data.append(UInt8(ascii: ",")) }
            } else {
                data.append(UInt8(ascii: "{"))
                validity[row] = 1
            }
            JSONText.appendString(Array(named.name.utf8).span, into: &data)
            data.append(UInt8(ascii: ":"))
            named.column.appendJSON(row, into: &data)
            data.append(UInt8(ascii: "}"))
        }
    }

    /// A column's name as the contract has it; another one's values go to `_extra`.
    private static func isName(_ name: String) -> Bool {
        (1...longestName).contains(name.utf8.count) && !name.hasPrefix("_")
    }
}
