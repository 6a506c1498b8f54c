public import Observability
public import Postgres

/// Names what the jobs follow from that a transaction enqueues without a trace of their own.
struct TransactionTrace: PostgresStatement {
    let trace: String

    static let sql = "SELECT FROM set_config('millrace.trace', $1, true)"
    var parameters: [PostgresValue] { [.text(trace)] }
}

extension PostgresConnection {
    /// From here to the transaction's end what it enqueues follows from this place in a trace, whatever statement or
    /// trigger does so. One that is not recorded is passed over, at no cost.
    public func follow(_ trace: TraceContext) async throws {
        guard trace.isSampled else { return }
        try await execute(TransactionTrace(trace: trace.traceparent))
    }
}
