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

    /// The pipeline over records that stand for rows of the dataset that it reads: they get its columns, and no others,
    /// before the first step. One that does not fit is at fault at `source.dataset`.
    func reading(_ columns: [TableColumn]) -> CompiledPipeline {
        let cast = CastStep(casts: columns.map { ($0.name, $0.type) })
        let fitting: [any PipelineStep] = [cast, SelectStep(names: columns.map(\.name))]
        return CompiledPipeline(
            steps: fitting.map { Step(place: "source.dataset", step: $0) } + steps, deleteWhen: deleteWhen)
    }

    /// Runs all steps at once. Lookups find nothing: see ``PipelineRun`` for those.
    ///
    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    ///   - received: as in ``PipelineRun``.
    /// - Throws: that a step turns down the batch as a whole.
    public func run(
        _ batch: RecordBatch, faults: [RowFault] = [], received: Int64? = nil
    ) throws(BatchFailure) -> PipelineOutput {
        var run = PipelineRun(self, batch, faults: faults, received: received)
        while let request = try run.advance() { run.supply(LookupAnswer(to: request)) }
        return run.output
    }
}

/// What a pipeline makes of a batch: every record has rows in its outputs, or was left out, or has a fault.
public struct PipelineOutput: Sendable {
    /// The rows for the target. Several have one ordinal where a step made them of one record.
    public var batch: RecordBatch
    /// The rows that `route` steps took, a batch for each branch, in the order in which they are written.
    public var routed: [RecordBatch] = []
    /// The ordinals of the records that a filter left out, each once: those of which no row is left.
    public var filtered: [Int32] = []
    /// The ordinals of the records that others stand for, each once: no row of theirs is left, and none was filtered.
    public var duplicates: [Int32] = []
    /// Of records to be quarantined, each with its faults.
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

    /// Removes all rows of records that have a fault.
    mutating func removeRows(of faults: [RowFault]) {
        let bad = Set(faults.map(\.row))
        batch.keep(batch.rows.map { bad.contains($0) ? 0 : 1 })
        for branch in routed.indices { routed[branch].keep(routed[branch].rows.map { bad.contains($0) ? 0 : 1 }) }
    }

    /// Makes what was left out by rows a matter of records.
    mutating func countRecords() {
        var seen = Set(outputs.flatMap(\.rows))
        seen.formUnion(faults.map(\.row))
        filtered = filtered.filter { seen.insert($0).inserted }
        duplicates = duplicates.filter { seen.insert($0).inserted }
    }
}
