public import Records

/// A pipeline under way over one batch. It stops where rows of another dataset are needed, and goes on when they are
/// supplied; so the steps stay free of I/O.
///
/// ```swift
/// var run = PipelineRun(pipeline, batch)
/// while let request = try run.advance() { run.supply(try await lookups.find(request)) }
/// ```
public struct PipelineRun: Sendable {
    private let pipeline: CompiledPipeline
    private var next = 0
    private var found: LookupAnswer?
    private var isDone = false
    private let received: Int64?
    private let isWhole: Bool
    /// A step made several rows of a record.
    private var isMultiplied = false
    /// What was made so far; whole once ``advance()`` gives nil.
    public private(set) var output: PipelineOutput

    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    ///   - received: when the records came, in µs since 2000-01-01 UTC, for times that do not say their year.
    ///   - isWhole: all records of the batch are there. Of some of them, a limit to what may fail says nothing.
    public init(
        _ pipeline: CompiledPipeline, _ batch: RecordBatch, faults: [RowFault] = [], received: Int64? = nil,
        isWhole: Bool = true
    ) {
        self.pipeline = pipeline
        self.received = received
        self.isWhole = isWhole
        output = PipelineOutput(batch: batch, faults: faults)
    }

    /// Runs the steps up to one that looks something up; nil when all are done. A row that a step rejects takes no part
    /// in those after it, and neither do the other rows of its record.
    ///
    /// - Throws: that a step turns down the batch as a whole.
    public mutating func advance() throws(BatchFailure) -> LookupRequest? {
        while next < pipeline.steps.count {
            let step = pipeline.steps[next]
            let context = StepContext(place: step.place, received: received)
            if found == nil, let request = step.step.request(output.batch, context) { return request }
            let result =
                found.map { step.step.apply(output.batch, context, found: $0) }
                ?? step.step.apply(output.batch, context)
            found = nil
            next += 1
            output.faults += result.faults
            if var failure = result.failure, isWhole {
                failure.faults = output.faults
                throw failure
            }
            output.batch = result.batch
            output.routed += result.routed
            output.filtered += result.filtered
            output.duplicates += result.duplicates
            isMultiplied = isMultiplied || step.step.multiplies
            if isMultiplied, !result.faults.isEmpty { output.removeRows(of: result.faults) }
        }
        guard !isDone else { return nil }
        isDone = true
        let rejected = output.faults.count
        output.markDeletions(pipeline.deleteWhen)
        if isMultiplied {
            if output.faults.count > rejected {
                output.removeRows(of: Array(output.faults[rejected...]))
                output.markDeletions(pipeline.deleteWhen)
            }
            output.countRecords()
        }
        return nil
    }

    /// Answers the request that ``advance()`` gave last.
    public mutating func supply(_ answer: LookupAnswer) { found = answer }
}
