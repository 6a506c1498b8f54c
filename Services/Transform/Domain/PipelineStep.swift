import Records

/// A compiled step, which works on whole batches.
protocol PipelineStep: Sendable {
    /// Runs over a batch.
    ///
    /// - Parameter place: the step's name in faults, as `steps[2].derive`.
    func apply(_ batch: RecordBatch, place: String) -> StepResult

    /// What the step needs of another dataset; nil for most. It is then run by ``apply(_:place:found:)``.
    func request(_ batch: RecordBatch, place: String) -> LookupRequest?

    func apply(_ batch: RecordBatch, place: String, found: LookupAnswer) -> StepResult
}

extension PipelineStep {
    func request(_ batch: RecordBatch, place: String) -> LookupRequest? { nil }

    func apply(_ batch: RecordBatch, place: String, found: LookupAnswer) -> StepResult { apply(batch, place: place) }
}

/// What a step makes of a batch. Rows with a fault, and those filtered, are no longer in it.
struct StepResult {
    var batch: RecordBatch
    /// The ordinals of the records that were filtered out.
    var filtered: [Int32] = []
    /// What a `route` step took out, a batch for each of its branches; of other steps none.
    var routed: [RecordBatch] = []
    /// At most one for each row.
    var faults: [RowFault] = []

    init(_ batch: RecordBatch) {
        self.batch = batch
    }

    /// Takes the rows marked in `failed` (empty, or 1 for each that failed) out of a batch.
    init(_ batch: RecordBatch, removing failed: [UInt8], faults: [RowFault]) {
        self.batch = batch
        self.faults = faults
        if failed.contains(1) { self.batch.keep(failed.map { $0 ^ 1 }) }
    }
}

extension RecordBatch {
    /// Puts a column in the place of the one with its name, or at the end.
    mutating func set(_ name: String, _ column: Column) {
        if let index = index(of: name) {
            columns[index].column = column
        } else {
            columns.append(NamedColumn(name, column))
        }
    }

    /// An untyped column of fields that no record has.
    var missingColumn: Column {
        Column(
            untyped: VariantColumn(
                kinds: [UInt8](repeating: 0, count: rowCount), payloads: [UInt64](repeating: 0, count: rowCount)))
    }

    /// The column with this name as text; NULLs if there is none.
    func text(_ name: String) -> (values: ByteColumn, validity: [UInt8]) {
        let column = self[name] ?? missingColumn
        let cast = column.type == .typed(.text) ? column : column.cast(to: .text, rows: rows, name: name).column
        guard case .bytes(let values) = cast.storage else { preconditionFailure("text is bytes") }
        return (values, cast.validity)
    }
}
