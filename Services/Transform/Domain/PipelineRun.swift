public import Records

/// A pipeline under way over one batch. It stops where rows of another dataset are needed, and goes on when they are
/// supplied; so the steps stay free of I/O.
///
/// ```swift
/// var run = PipelineRun(pipeline, batch)
/// while let request = run.advance() { run.supply(try await lookups.find(request)) }
/// ```
public struct PipelineRun: Sendable {
    private let pipeline: CompiledPipeline
    private var next = 0
    private var found: LookupAnswer?
    private var isDone = false
    /// What was made so far; whole once ``advance()`` gives nil.
    public private(set) var output: PipelineOutput

    /// - Parameters:
    ///   - batch: the decoded records.
    ///   - faults: of records that could not be decoded; they come first among the output's.
    public init(_ pipeline: CompiledPipeline, _ batch: RecordBatch, faults: [RowFault] = []) {
        self.pipeline = pipeline
        output = PipelineOutput(batch: batch, filtered: [], faults: faults)
    }

    /// Runs the steps up to one that looks something up; nil when all are done. A row that a step rejects takes no part
    /// in those after it.
    public mutating func advance() -> LookupRequest? {
        while next < pipeline.steps.count {
            let step = pipeline.steps[next]
            if found == nil, let request = step.step.request(output.batch, place: step.place) { return request }
            let result =
                found.map { step.step.apply(output.batch, place: step.place, found: $0) }
                ?? step.step.apply(output.batch, place: step.place)
            found = nil
            next += 1
            output.batch = result.batch
            output.routed += result.routed
            output.filtered += result.filtered
            output.faults += result.faults
        }
        if !isDone { output.markDeletions(pipeline.deleteWhen) }
        isDone = true
        return nil
    }

    /// Answers the request that ``advance()`` gave last.
    public mutating func supply(_ answer: LookupAnswer) { found = answer }
}
