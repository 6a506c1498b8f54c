import Observability
import Postgres

/// What a worker's leases share: where they write, and what they are counted by.
struct LeaseContext: Sendable {
    let queue: String
    let pool: PostgresPool
    let handler: any JobHandler
    let backoff: Backoff
    let kinds: [String: KindPolicy]
    let random: @Sendable () -> Double
    let wakeup: Wakeup
    let metrics: QueueMetrics
    /// Nil where traces are not recorded.
    let tracer: Tracer?
    let logger: Logger
}

/// How the fence speaks.
enum LeaseFence {
    /// Raised by queue.hold when the lease is gone.
    static let lost: SQLState = "MR001"

    /// Raised by queue.ended for a slice of an array that was cancelled.
    static let arrayCancelled: SQLState = "MR002"

    /// The outcome of a job was there already, or its array is cancelled; or something of the handler's own.
    static func mayBeCancelled(_ error: any Error) -> Bool {
        guard let state = (error as? PostgresError)?.sqlstate else { return false }
        return state == .uniqueViolation || state == arrayCancelled
    }

    static func isLost(_ error: any Error) -> Bool {
        if let error = error as? QueueError { return error.code == .leaseLost }
        return (error as? PostgresError)?.sqlstate == lost
    }
}
