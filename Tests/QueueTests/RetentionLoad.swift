import Lifecycle
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Queue

/// Enqueues, claims and settles as fast as it can, and notes how long the slowest statement took. A statement that
/// waits for a lock longer than `lockTimeout` fails, and the load with it.
struct RetentionLoad: Sendable {
    let pool: PostgresPool
    let lockTimeout: Duration
    let longest = Notes<Duration>()

    /// Works until it is asked to stop, then drains the queue. Gives how many jobs it has enqueued.
    func run(until stop: ShutdownSignal) async throws -> Int {
        try await pool.withConnection { connection in
            let milliseconds = Int(lockTimeout.seconds * 1000)
            _ = try await connection.query("SET lock_timeout = \(literal: "\(milliseconds)ms")")
            let row = try await connection.query(RegisterWorkerStatement(queue: "transform", name: "load")).first
            let session = try #require(row)
            var marks = Marks(now: .now)
            var enqueued = 0
            var slowest = Duration.zero
            while true {
                let isStopping = stop.isRequested
                if !isStopping {
                    let request = JobRequest(
                        queue: "transform", kind: "load", arguments: Array("{}".utf8), workspace: 1)
                    let statement = try Enqueue.statement(Array(repeating: request, count: 20))
                    let began = ContinuousClock.now
                    enqueued += try await connection.query(statement).count
                    slowest = max(slowest, .now - began)
                }
                let settled = try await cycle(session, &marks, &slowest, connection)
                if isStopping, settled == 0 { break }
            }
            longest.add(slowest)
            return enqueued
        }
    }

    private func cycle(
        _ session: RegisterWorkerStatement.Row, _ marks: inout Marks, _ slowest: inout Duration,
        _ connection: PostgresConnection
    ) async throws -> Int {
        var began = ContinuousClock.now
        let claim = ClaimStatement(
            worker: session.worker, queue: session.queue, solo: false, limit: 50,
            marks: marks.bounds(solo: false, at: began), soloLow: marks.solo.low, gateLow: marks.gateLow, sweep: true,
            done: [],
            flows: [])
        let rows = try await connection.query(claim)
        slowest = max(slowest, .now - began)
        let jobs = rows.compactMap { if case .job(let job) = $0 { job } else { nil } }
        marks.claimed(jobs, limit: 50, from: claim.marks, solo: false, swept: true, began: began, ended: .now)
        guard case .header(let header) = rows[0], let lease = header.lease else { return 0 }
        began = .now
        try await connection.transaction { connection in
            let ids = PostgresValue.int8Array(jobs.map(\.id))
            _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
            try await connection.execute(SettleStatement(lease: lease, jobs: jobs, finish: true))
        }
        slowest = max(slowest, .now - began)
        if jobs.count < 50, let row = try await connection.query(AdvanceStatement(queue: session.queue)).first {
            marks.advanced(row)
        }
        return jobs.count
    }
}
