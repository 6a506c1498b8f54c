import Observability
import Postgres

/// What a worker's leases share: where they write, and what they are counted by.
struct LeaseContext: Sendable {
    let queue: String
    let pool: PostgresPool
    let handler: any JobHandler
    let backoff: Backoff
    let random: @Sendable () -> Double
    let wakeup: Wakeup
    let metrics: QueueMetrics
    let logger: Logger
}

/// How the fence speaks.
enum LeaseFence {
    /// Raised by queue.hold when the lease is gone.
    static let lost: SQLState = "MR001"

    static func isLost(_ error: any Error) -> Bool {
        if let error = error as? QueueError { return error.code == .leaseLost }
        return (error as? PostgresError)?.sqlstate == lost
    }
}
