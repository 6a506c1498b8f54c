import JSON
import Records

/// Brings columns to types. A row whose value is not of the type is rejected.
struct CastStep: PipelineStep {
    let casts: [(column: String, type: ColumnType)]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        for (name, type) in casts {
            let column = batch[name] ?? batch.missingColumn
            let result = column.cast(to: type, rows: batch.rows, name: name, step: context.place)
            batch.set(name, result.column)
            guard !result.failed.isEmpty else { continue }
            if failed.isEmpty { failed = [UInt8](repeating: 0, count: batch.rowCount) }
            for (row, fault) in zip(result.failed, result.faults) where failed[row] == 0 {
                failed[row] = 1
                faults.append(fault)
            }
        }
        return StepResult(batch, removing: failed, faults: faults)
    }
}

/// Keeps the named columns, in the order given. One that no record has is NULL.
struct SelectStep: PipelineStep {
    let names: [String]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        let columns = names.map { NamedColumn($0, batch[$0] ?? batch.missingColumn) }
        return StepResult(RecordBatch(rows: batch.rows, columns: columns))
    }
}

/// Gives columns other names. Where a record lacks the column, what it has under the new name stays; one that has both
/// is turned down.
struct RenameStep: PipelineStep {
    let renames: [(from: String, to: String)]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        var columns = batch.columns.filter { named in
            !renames.contains { ColumnName.isSame($0.from, named.name) }
        }
        for (from, to) in renames {
            guard let place = batch.index(of: from) else { continue }
            var column = batch.columns[place].column
            if let other = columns.firstIndex(where: { ColumnName.isSame($0.name, to) }) {
                let there = columns.remove(at: other).column
                if failed.isEmpty { failed = [UInt8](repeating: 0, count: batch.rowCount) }
                let joined = Self.join(column, there, batch.rows, to, context, &failed)
                column = joined.column
                faults += joined.faults
            }
            columns.append(NamedColumn(to, column))
        }
        batch.columns = Self.inOrder(columns, of: batch, renames)
        return StepResult(batch, removing: failed, faults: faults)
    }

    /// The values of one column, and where it has none those of another.
    private static func join(
        _ column: Column, _ other: Column, _ rows: [Int32], _ name: String, _ context: StepContext,
        _ failed: inout [UInt8]
    ) -> CastResult {
        var other = other
        var faults: [RowFault] = []
        if case .typed(let type) = column.type, other.type != column.type {
            let cast = other.cast(to: type, rows: rows, name: name, step: context.place)
            for (row, fault) in zip(cast.failed, cast.faults) where failed[row] == 0 {
                failed[row] = 1
                faults.append(fault)
            }
            other = cast.column
        }
        for row in 0..<column.count where column.isPresent(row) && other.isPresent(row) && failed[row] == 0 {
            failed[row] = 1
            faults.append(
                RowFault(
                    row: rows[row], code: "column_exists", step: context.place, column: name,
                    message: "there is a column \"\(name)\" already"))
        }
        var both = column
        let count = column.count
        guard both.append(other) else { return CastResult(column: column, faults: faults) }
        let places = (0..<count).map { column.isPresent($0) ? $0 : count + $0 }
        return CastResult(column: both.gathered(places), faults: faults)
    }

    /// Renamed columns where they were, the others as they come.
    private static func inOrder(
        _ columns: [NamedColumn], of batch: RecordBatch, _ renames: [(from: String, to: String)]
    ) -> [NamedColumn] {
        var left = columns
        return batch.columns.compactMap { named in
            let name = renames.first { ColumnName.isSame($0.from, named.name) }?.to ?? named.name
            return left.firstIndex { ColumnName.isSame($0.name, name) }.map { left.remove(at: $0) }
        }
    }
}

struct DropStep: PipelineStep {
    let names: Set<String>

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        batch.columns.removeAll { names.contains($0.name) }
        return StepResult(batch)
    }
}

/// Puts a value where a column has NULL.
struct FillStep: PipelineStep {
    struct Filling: Sendable {
        let column: String
        /// Untyped, with one value.
        let literal: Column
    }

    let fillings: [Filling]

    /// A JSON scalar as an untyped column of one value; nil for anything else.
    static func literal(_ value: JSONValue) -> Column? {
        var variants = VariantColumn()
        switch value {
        case .bool(let flag): variants.append(flag ? .true : .false)
        case .string(let text): variants.append(.string, placing: Array(text.utf8))
        case .number(let number):
            if let int = Int64(number.text), String(int) == number.text {
                variants.append(.int, payload: UInt64(bitPattern: int))
            } else {
                variants.append(.number, placing: Array(number.text.utf8))
            }
        case .null, .array, .object: return nil
        }
        return Column(untyped: variants)
    }

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var batch = batch
        var result = StepResult(batch)
        for filling in fillings {
            let column = batch[filling.column] ?? batch.missingColumn
            guard column.validity.contains(0) else { continue }
            var literal = filling.literal
            if case .typed(let type) = column.type {
                literal = literal.cast(to: type, rows: [0], name: filling.column).column
            }
            // The literal goes to the end, and NULLs take it from there.
            var extended = column
            guard extended.append(literal), literal.validity[0] != 0 else { continue }
            let last = column.count
            batch.set(filling.column, extended.gathered((0..<last).map { column.validity[$0] != 0 ? $0 : last }))
        }
        result.batch = batch
        return result
    }
}
