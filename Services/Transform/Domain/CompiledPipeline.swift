import Expressions
public import Records

/// A pipeline ready to run over any number of batches, from any thread.
public struct CompiledPipeline: Sendable {
    struct Step: Sendable {
        let place: String
        let step: any PipelineStep
    }

    let steps: [Step]
    /// The condition under which an upserted row deletes, in the columns that the steps leave.
    let deleteWhen: CompiledExpression?

    /// The pipeline without steps: records become rows as they are.
    public static let implicit = CompiledPipeline(steps: [], deleteWhen: nil)

    /// Runs the steps in order. A row that one rejects takes no part in those after it.
    ///
    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    public func run(_ batch: RecordBatch, faults: [RowFault] = []) -> PipelineOutput {
        var output = PipelineOutput(batch: batch, filtered: [], faults: faults, deletes: nil)
        for step in steps {
            let result = step.step.apply(output.batch, place: step.place)
            output.batch = result.batch
            output.filtered += result.filtered
            output.faults += result.faults
        }
        if let deleteWhen { output.markDeletions(deleteWhen) }
        return output
    }
}

/// What a pipeline makes of a batch: every record is in exactly one of the three.
public struct PipelineOutput: Sendable {
    /// The rows for the dataset.
    public var batch: RecordBatch
    /// The ordinals of the records that a filter left out, each once.
    public var filtered: [Int32]
    /// Of records to be quarantined, each with its first fault.
    public var faults: [RowFault]
    /// For each row of the batch whether it deletes the one with its key; nil where none does.
    public var deletes: [UInt8]?

    /// Asks each row whether it deletes; one for which that cannot be said is rejected.
    mutating func markDeletions(_ condition: CompiledExpression) {
        var run = ExpressionRun(batch, step: "target.delete_when")
        var mask = run.mask(condition)
        let failed = run.failedRows
        faults += run.faults
        if failed.contains(1) {
            mask = zip(mask, failed).filter { $0.1 == 0 }.map(\.0)
            batch.keep(failed.map { $0 ^ 1 })
        }
        deletes = mask.contains(1) ? mask : nil
    }
}
