import Expressions
public import Records

/// A pipeline ready to run over any number of batches, from any thread.
public struct CompiledPipeline: Sendable {
    struct Step: Sendable {
        let place: String
        let step: any PipelineStep
    }

    let steps: [Step]
    /// Of each output the condition under which an upserted row deletes, in the columns that its rows have there.
    let deleteWhen: [CompiledExpression?]

    /// The pipeline without steps: records become rows as they are.
    public static let implicit = CompiledPipeline(steps: [], deleteWhen: [nil])

    /// Runs all steps at once. Lookups find nothing: see ``PipelineRun`` for those.
    ///
    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    public func run(_ batch: RecordBatch, faults: [RowFault] = []) -> PipelineOutput {
        var run = PipelineRun(self, batch, faults: faults)
        while let request = run.advance() { run.supply(LookupAnswer(to: request)) }
        return run.output
    }
}

/// What a pipeline makes of a batch: every record has rows in its outputs, or was filtered, or has a fault.
public struct PipelineOutput: Sendable {
    /// The rows for the target.
    public var batch: RecordBatch
    /// The rows that `route` steps took, a batch for each branch, in the order in which they are written.
    public var routed: [RecordBatch] = []
    /// The ordinals of the records that a filter left out, each once.
    public var filtered: [Int32]
    /// Of records to be quarantined, each with its first fault.
    public var faults: [RowFault]
    /// For each output, by its number, which of its rows delete the one with their key; nil where none does.
    public var deletes: [[UInt8]?] = []

    /// The rows of each output, by its number.
    public var outputs: [RecordBatch] { [batch] + routed }

    /// Asks the rows of each output whether they delete; one for which that cannot be said is rejected.
    mutating func markDeletions(_ conditions: [CompiledExpression?]) {
        deletes = conditions.enumerated().map { number, condition in
            guard let condition else { return nil }
            let rows = number == 0 ? batch : routed[number - 1]
            var run = ExpressionRun(rows, step: number == 0 ? "target.delete_when" : "route.delete_when")
            var mask = run.mask(condition)
            let failed = run.failedRows
            faults += run.faults
            if failed.contains(1) {
                mask = zip(mask, failed).filter { $0.1 == 0 }.map(\.0)
                if number == 0 {
                    batch.keep(failed.map { $0 ^ 1 })
                } else {
                    routed[number - 1].keep(failed.map { $0 ^ 1 })
                }
            }
            return mask.contains(1) ? mask : nil
        }
    }
}
