import Records

/// A batch that was run through a pipeline's steps, as the datasets of its outputs take it.
struct FittedBatch: Sendable {
    /// An output's rows.
    struct Output: Sendable {
        /// The dataset as it was found.
        var schema: DatasetSchema
        /// The columns that the rows were fitted to.
        var agreed: [AgreedColumn] = []
        var batch: RecordBatch
        var faults: [RowFault] = []
    }

    /// By their numbers, without the rows of records that are turned down.
    var outputs: [Output]
    /// Of the records that are turned down.
    var faults: StagedFaults
    /// Ordinals of the records that the steps left out.
    var filtered: [Int32]
    var duplicates: [Int32]

    init(_ outcome: PipelineOutput, _ fitted: [Output], decodeFaults: [RowFault]) {
        outputs = fitted
        faults = StagedFaults(decode: decodeFaults, transform: outcome.faults + fitted.flatMap(\.faults))
        filtered = outcome.filtered
        duplicates = outcome.duplicates
        guard fitted.count > 1, !faults.isEmpty else { return }
        // A record is quarantined as a whole, in whichever output one of its rows was turned down.
        for number in outputs.indices { outputs[number].batch.keep(faults.others(outputs[number].batch.rows)) }
    }
}
