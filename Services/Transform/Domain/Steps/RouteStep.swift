import Expressions
import Records

/// Takes rows out of the pipeline for other datasets: each goes to the first branch whose condition is true for it. The
/// rest, NULL too, goes on.
struct RouteStep: PipelineStep {
    /// Of the branches, in their order.
    let conditions: [CompiledExpression]

    func apply(_ batch: RecordBatch, _ context: StepContext) -> StepResult {
        var result = StepResult(batch)
        for condition in conditions {
            var run = ExpressionRun(result.batch, step: context.place)
            let matches = run.mask(condition)
            let failed = run.failedRows
            result.faults += run.faults
            var taken = result.batch
            taken.keep(matches)
            result.routed.append(taken)
            guard matches.contains(1) || !failed.isEmpty else { continue }
            result.batch.keep(matches.indices.map { matches[$0] == 0 && (failed.isEmpty || failed[$0] == 0) ? 1 : 0 })
        }
        return result
    }
}
