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

    /// Runs the steps in order. A row that one rejects takes no part in those after it, and neither do the other rows
    /// of its record.
    ///
    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    ///   - received: when the records came, in µs since 2000-01-01 UTC, for times that do not say their year.
    /// - Throws: that a step turns down the batch as a whole.
    public func run(
        _ batch: RecordBatch, faults: [RowFault] = [], received: Int64? = nil
    ) throws(BatchFailure) -> PipelineOutput {
        var output = PipelineOutput(batch: batch, faults: faults)
        var isMultiplied = false
        for step in steps {
            let result = step.step.apply(output.batch, StepContext(place: step.place, received: received))
            output.faults += result.faults
            if var failure = result.failure {
                failure.faults = output.faults
                throw failure
            }
            output.batch = result.batch
            output.filtered += result.filtered
            output.duplicates += result.duplicates
            isMultiplied = isMultiplied || step.step.multiplies
            if isMultiplied, !result.faults.isEmpty { output.removeRows(of: result.faults) }
        }
        if isMultiplied { output.countRecords() }
        return output
    }
}

/// What a pipeline makes of a batch: every record is in exactly one of the four.
public struct PipelineOutput: Sendable {
    /// The rows for the dataset. Several have one ordinal where a step made them of one record.
    public var batch: RecordBatch
    /// The ordinals of the records that a filter left out, each once: those of which no row is left.
    public var filtered: [Int32] = []
    /// The ordinals of the records that others stand for, each once: no row of theirs is left, and none was filtered.
    public var duplicates: [Int32] = []
    /// Of records to be quarantined, each with its faults. No row of theirs is left.
    public var faults: [RowFault]

    /// Removes all rows of records that have a fault.
    fileprivate mutating func removeRows(of faults: [RowFault]) {
        let bad = Set(faults.map(\.row))
        batch.keep(batch.rows.map { bad.contains($0) ? 0 : 1 })
    }

    /// Makes what was left out by rows a matter of records.
    fileprivate mutating func countRecords() {
        var seen = Set(batch.rows)
        seen.formUnion(faults.map(\.row))
        filtered = filtered.filter { seen.insert($0).inserted }
        duplicates = duplicates.filter { seen.insert($0).inserted }
    }
}
