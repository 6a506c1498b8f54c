import Records

/// Joins columns of another dataset to the rows, by a key.
///
/// The step runs in two parts, since rows of the other dataset are fetched between them: ``request(_:_:)`` says
/// which keys occur, ``apply(_:_:found:)`` joins what was found for them. Both are pure.
struct LookupStep: PipelineStep {
    /// What becomes of a row whose key is not found.
    enum Missing: String, Sendable, CaseIterable {
        case null, quarantine
    }

    /// A column of the rows, and the dataset's column that is equal to it.
    struct Key: Sendable {
        var column: String
        var source: String
        var type: ColumnType
    }

    /// A column of the dataset, and the rows' column that it becomes.
    struct Joined: Sendable {
        var source: String
        var column: String
        var type: ColumnType
    }

    let dataset: String
    let keys: [Key]
    let columns: [Joined]
    let missing: Missing

    func request(_ batch: RecordBatch, _ context: StepContext) -> LookupRequest? {
        var typed: [Column] = []
        var failed: [UInt8] = []
        var faults: [RowFault] = []
        for key in keys {
            let column = batch[key.column] ?? batch.missingColumn
            let cast = column.cast(to: key.type, rows: batch.rows, name: key.column, step: context.place)
            typed.append(cast.column)
            if failed.isEmpty, !cast.failed.isEmpty { failed = [UInt8](repeating: 0, count: batch.rowCount) }
            for (row, fault) in zip(cast.failed, cast.faults) where failed[row] == 0 {
                failed[row] = 1
                faults.append(fault)
            }
        }
        let groups = RowGroups(typed, rows: batch.rowCount)
        var firsts: [Int] = []
        // Of each group its place among the keys; a key with a NULL is equal to none.
        var numbers = [Int32](repeating: -1, count: groups.count)
        var places = [Int32](repeating: -1, count: batch.rowCount)
        for row in 0..<batch.rowCount where groups.hasNull[row] == 0 {
            let group = Int(groups.numbers[row])
            if numbers[group] < 0 {
                numbers[group] = Int32(firsts.count)
                firsts.append(row)
            }
            places[row] = numbers[group]
        }
        return LookupRequest(
            dataset: dataset, keys: zip(keys, typed).map { LookupRequest.Key($0.source, $0.type, $1.gathered(firsts)) },
            columns: columns.map { LookupRequest.Wanted(name: $0.source, type: $0.type) }, count: firsts.count,
            places: places, failed: failed, faults: faults)
    }

    /// Without an answer nothing is found.
    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        guard let request = request(batch, context) else { return StepResult(batch) }
        return apply(batch, context, found: LookupAnswer(to: request))
    }

    func apply(_ batch: RecordBatch, _ context: StepContext, found: LookupAnswer) -> StepResult {
        let request = found.request
        var batch = batch
        let rows = request.places.map { $0 < 0 ? found.missing : Int(found.rows[Int($0)]) }
        for (joined, column) in zip(columns, found.columns) { batch.set(joined.column, column.gathered(rows)) }
        var failed = request.failed
        var faults = request.faults
        if missing == .quarantine {
            if failed.isEmpty { failed = [UInt8](repeating: 0, count: batch.rowCount) }
            for row in rows.indices where rows[row] == found.missing && failed[row] == 0 {
                failed[row] = 1
                faults.append(
                    RowFault(
                        row: batch.rows[row], code: "lookup_missing", step: context.place, column: keys[0].column,
                        message: "the dataset \(dataset) has no row with this key"))
            }
        }
        return StepResult(batch, removing: failed, faults: faults)
    }
}
