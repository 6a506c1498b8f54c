import Observability

/// What the steps of rollups are counted by, in the processes that do them.
struct RollupMetrics: Sendable {
    let batches: Counter
    let rows: Counter
    /// Steps that found somebody else at the rollup or its dataset, and are made later.
    let delayed: Counter
    /// Steps after which a rollup is given up, until it is put again.
    let failed: Counter
    let seconds: Histogram

    init(_ registry: MetricsRegistry) {
        batches = registry.counter("millrace_rollup_batches_total", help: "Batches added to rollups.")
        rows = registry.counter(
            "millrace_rollup_rows_total", help: "Rows of batches added to rollups, once for each rollup.")
        delayed = registry.counter(
            "millrace_rollup_delayed_total", help: "Steps put off since somebody wrote where they had to read.")
        failed = registry.counter("millrace_rollup_failed_total", help: "Steps after which a rollup is not kept.")
        seconds = registry.histogram(
            "millrace_rollup_step_seconds", help: "Time of a step of a rollup: filling it, or adding what waits.")
    }
}
