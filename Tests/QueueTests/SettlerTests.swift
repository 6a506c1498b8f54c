import Postgres
import TestSupport
import Testing

@testable import Queue

@Suite("Queue: groups that are settled together")
struct SettlerTests {
    private static let groups = 20

    /// Claims one job under each of so many leases of a new worker.
    private func claims(_ count: Int, _ pool: PostgresPool) async throws -> [Settler.Group] {
        let worker = try #require(
            try await pool.withConnection { connection in
                try await connection.query(RegisterWorkerStatement(queue: "transform", name: "test")).first
            })
        var groups: [Settler.Group] = []
        for _ in 0..<count {
            let statement = ClaimStatement(
                worker: worker.worker, queue: worker.queue, solo: false, limit: 1,
                marks: .zero, soloLow: Marks.Bounds.zero.low, gateLow: 0, sweep: true, done: [], flows: [])
            let rows = try await pool.withConnection { try await $0.query(statement) }
            guard case .header(let header) = rows[0], case .job(let job) = rows[1] else { continue }
            groups.append(
                Settler.Group(lease: try #require(header.lease), jobs: [job], finish: count % 2 == 0) { _ in })
        }
        return groups
    }

    @Test("A lease that is lost is named and its jobs stay open; the others' are settled", arguments: [4, 5])
    func lost(_ count: Int) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.enqueue(count)
            let groups = try await claims(count, pool)
            #expect(groups.count == count)
            try await pool.run("DELETE FROM queue.lease WHERE id = \(.int8(groups[1].lease))")
            let lost = try await pool.withConnection { try await $0.query(SettleLeasesStatement(groups: groups)) }
            #expect(lost == [groups[1].lease])
            let settled = try await pool.texts(
                "SELECT job || ' ' || lease FROM queue.outcome WHERE state = 'succeeded' ORDER BY job")
            let kept = groups.indices.filter { $0 != 1 }.map { groups[$0] }
            #expect(settled == kept.map { "\($0.jobs[0].id) \($0.lease)" })
            // Those whose last job it was are gone, the others stay until they are finished.
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == (groups[0].finish ? 0 : count - 1))
        }
    }

    /// Groups of one job that all want to be settled while nothing can be written.
    private func settleAtOnce(
        cancelling cancelled: Int
    ) async throws -> (succeeded: Int, transactions: Int, refused: [QueueError.Code]) {
        let database = try await QueueDatabase.make()
        return try await database.withPool(size: 8) { pool in
            let ids = try await pool.enqueue(Self.groups)
            let refused = Notes<QueueError.Code>()
            let (began, beginning) = AsyncStream<Void>.makeStream()
            let (ended, ending) = AsyncStream<Void>.makeStream()
            let (gate, opens) = AsyncStream<Void>.makeStream()
            let opened = Task { for await _ in gate {} }
            let handler = ClosureHandler { jobs, lease in
                beginning.yield()
                await opened.value
                ending.yield()
                do {
                    try await lease.settle(jobs)
                } catch let error as QueueError {
                    refused.add(error.code)
                    throw error
                }
            }
            try await pool.withWorker(handler, WorkerConfiguration(slots: Self.groups, maxClaim: 1)) {
                for await _ in began.prefix(Self.groups) {}
                for id in ids.prefix(cancelled) { try await pool.run("SELECT queue.cancel(\(.int8(id)))") }
                try await pool.withTransaction { connection in
                    _ = try await connection.query("LOCK TABLE queue.outcome IN SHARE MODE")
                    opens.finish()
                    for await _ in ended.prefix(Self.groups) {}
                    try await pool.wait(
                        until: """
                            SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                            WHERE NOT granted AND mode = 'RowExclusiveLock' AND d.datname = current_database()
                            """, is: 1)
                }
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome", is: Self.groups)
                try await pool.wait(until: "SELECT count(*) FROM queue.lease", is: 0)
            }
            return (
                try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'"),
                try await pool.int("SELECT count(DISTINCT xmin::text) FROM queue.outcome"), refused.all
            )
        }
    }

    @Test("What comes while a statement is under way is settled by the next one, together")
    func gathers() async throws {
        let (succeeded, transactions, refused) = try await settleAtOnce(cancelling: 0)
        #expect(refused.isEmpty)
        #expect(succeeded == Self.groups)
        // One went alone, the others while it was held up; a few may have come too late for one statement.
        #expect(transactions < Self.groups / 2)
    }

    @Test("A job among them that was cancelled meanwhile is refused alone; its neighbours are settled")
    func cancelled() async throws {
        let (succeeded, _, refused) = try await settleAtOnce(cancelling: 2)
        #expect(succeeded == Self.groups - 2)
        #expect(refused == [.cancelled, .cancelled])
    }
}
