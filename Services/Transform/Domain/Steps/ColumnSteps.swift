import JSON
import Records

/// Brings columns to types. A row whose value is not of the type is rejected.
struct CastStep: PipelineStep {
    let casts: [(column: String, type: ColumnType)]

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var batch = batch
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        for (name, type) in casts {
            let column = batch[name] ?? batch.missingColumn
            let result = column.cast(to: type, rows: batch.rows, name: name, step: place)
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

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        let columns = names.map { NamedColumn($0, batch[$0] ?? batch.missingColumn) }
        return StepResult(RecordBatch(rows: batch.rows, columns: columns))
    }
}

struct RenameStep: PipelineStep {
    let renames: [(from: String, to: String)]

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
        var batch = batch
        let targets = Dictionary(renames.map { ($0.from, $0.to) }) { first, _ in first }
        // A column in the way gives way, if what takes its name is there.
        let present = renames.filter { batch.index(of: $0.from) != nil }
        let taken = Set(present.map(\.to)).subtracting(targets.keys)
        batch.columns.removeAll { taken.contains($0.name) }
        for index in batch.columns.indices {
            if let name = targets[batch.columns[index].name] { batch.columns[index].name = name }
        }
        return StepResult(batch)
    }
}

struct DropStep: PipelineStep {
    let names: Set<String>

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
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

    func apply(_ batch: RecordBatch, place: String) -> StepResult {
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
