import Postgres
import TestSupport
import Testing

@testable import Queue

/// Claims stay quick whatever lies around the jobs, and whatever the planner believes.
@Suite("Queue: the cost of a claim")
struct PlanTests {
    /// A registered worker that is only claimed for.
    private struct Claimer {
        let session: RegisterWorkerStatement.Row
        var marks = Marks(now: .now)

        /// Claims and settles; gives the jobs and the time the claim took.
        mutating func cycle(_ limit: Int, _ connection: PostgresConnection) async throws -> ([Job], Duration) {
            let began = ContinuousClock.now
            let statement = ClaimStatement(
                worker: session.worker, queue: session.queue, solo: false, limit: limit,
                marks: marks.bounds(solo: false, at: began), soloLow: marks.solo.low,
                gateLow: marks.gateLow, sweep: true, done: [], flows: [])
            let rows = try await connection.query(statement)
            let ended = ContinuousClock.now
            let jobs = rows.compactMap { if case .job(let job) = $0 { job } else { nil } }
            marks.claimed(
                jobs, limit: limit, from: statement.marks, solo: false, swept: true, began: began, ended: ended)
            if case .header(let header) = rows[0], let lease = header.lease {
                try await connection.execute(SettleStatement(lease: lease, jobs: jobs, finish: true))
            }
            return (jobs, ended - began)
        }

        mutating func advance(_ connection: PostgresConnection) async throws {
            if let row = try await connection.query(AdvanceStatement(queue: session.queue)).first {
                marks.advanced(row)
            }
        }
    }

    private func claimer(_ connection: PostgresConnection) async throws -> Claimer {
        let row = try await connection.query(RegisterWorkerStatement(queue: "transform", name: "test")).first
        return Claimer(session: try #require(row))
    }

    @Test("The claim goes by the index with fresh and with stale statistics", arguments: [true, false])
    func plan(_ fresh: Bool) async throws {
        try await QueueDatabase.make().withPool { pool in
            // Of an empty table: the planner believes it small for ever after.
            try await pool.run("ANALYZE queue.ready")
            for _ in 0..<5 { try await pool.enqueue(10_000) }
            if fresh { try await pool.run("ANALYZE queue.ready") }
            try await pool.withConnection { connection in
                let scans: PostgresQuery = "SELECT pg_stat_get_xact_numscans('queue.ready'::regclass)"
                let registered = try await claimer(connection)
                try await connection.transaction { connection in
                    var claimer = registered
                    for _ in 0..<20 {
                        let (jobs, _) = try await claimer.cycle(10, connection)
                        #expect(jobs.count == 10)
                    }
                    #expect(try await connection.query(scans)[0].int(0) == 0)
                }
            }
        }
    }

    /// Each a thousand times more than a claim takes would show.
    @Test("100,000 deferred jobs, and as many of a lower priority, do not slow a claim")
    func deferredAhead() async throws {
        try await QueueDatabase.make().withPool { pool in
            for _ in 0..<10 {
                try await pool.enqueue(10_000, delay: .seconds(3600))
                try await pool.enqueue(10_000, priority: -1)
            }
            try await pool.enqueue(1000, priority: 1)
            let times = try await pool.withConnection { connection in
                var claimer = try await claimer(connection)
                var times: [Duration] = []
                for _ in 0..<100 {
                    let (jobs, time) = try await claimer.cycle(10, connection)
                    #expect(jobs.count == 10 && jobs.allSatisfy { $0.priority == 1 })
                    times.append(time)
                }
                return times.sorted()
            }
            #expect(times[50] < .milliseconds(20))
        }
    }

    /// A snapshot is what a long query holds: dead entries stay in the index for as long.
    @Test("Under a held snapshot a claim costs the same after 100,000 jobs; a new worker starts from the mark")
    func heldSnapshot() async throws {
        // A server of its own: the seal waits for every transaction of the server.
        let database = try await TemporaryPostgres.start().database(template: "queue") {
            try await QueueDatabase.migrate($0)
        }
        try await database.withPool { pool in
            try await pool.withConnection { holder in
                try await holder.transaction(isolation: .repeatableRead) { holder in
                    _ = try await holder.query("SELECT count(*) FROM queue.ready")
                    try await work(through: 10, pool)
                }
            }
        }
    }

    /// The planner believes a table to be empty whose rows are all dead; then any index is as good as another to it.
    @Test("A claim reads no other index, where all that it holds is dead")
    func deadFlows() async throws {
        try await QueueDatabase.make().withPool { pool in
            try await pool.withConnection { holder in
                try await holder.transaction(isolation: .repeatableRead) { holder in
                    _ = try await holder.query("SELECT count(*) FROM queue.ready")
                    for _ in 0..<3 { try await pool.enqueue(10_000) }
                    try await pool.run("DELETE FROM queue.ready")
                    try await pool.run("VACUUM ANALYZE queue.ready")
                    let fetched = try await pool.withConnection { connection in
                        let registered = try await claimer(connection)
                        return try await connection.transaction { connection in
                            var claimer = registered
                            // What this backend did before may not be reported yet, and then counts as well.
                            let before = try await blocksOfFlows(connection)
                            #expect(try await claimer.cycle(10, connection).0.isEmpty)
                            return try await blocksOfFlows(connection) - before
                        }
                    }
                    // The root at most, and not its hundreds of leaves.
                    #expect(fetched < 5)
                }
            }
        }
    }

    private func blocksOfFlows(_ connection: PostgresConnection) async throws -> Int {
        try await connection.query("SELECT pg_stat_get_xact_blocks_fetched('queue.ready_flow'::regclass)")[0].int(0)
    }

    private func work(through rounds: Int, _ pool: PostgresPool) async throws {
        try await pool.withConnection { connection in
            var claimer = try await claimer(connection)
            var medians: [Duration] = []
            for _ in 0..<rounds {
                try await pool.enqueue(9000)
                try await pool.enqueue(1000, priority: 1)
                var times: [Duration] = []
                while true {
                    let (jobs, time) = try await claimer.cycle(100, connection)
                    if jobs.isEmpty { break }
                    times.append(time)
                    if times.count % 20 == 0 { try await claimer.advance(connection) }
                }
                #expect(times.count >= 100)
                times.sort()
                medians.append(times[times.count / 2])
            }
            #expect(medians[rounds - 1] < medians[0] * 3 + .milliseconds(5), "\(medians)")
            try await claimer.advance(connection)
            try await claimer.advance(connection)
            // What a worker that starts now sweeps: the tail, not all that is dead.
            var fresh = try await self.claimer(connection)
            try await fresh.advance(connection)
            #expect(fresh.marks.ordinary.low[2] > 80_000)
            #expect(fresh.marks.ordinary.low[1] > 80_000)
        }
    }
}
