import Postgres
import TestSupport
import Testing

@testable import Queue

/// What was noted by a clock that was ahead, after it was set back.
@Suite("Queue: a clock set back")
struct ClockSetBackTests {
    private func lead(_ pool: PostgresPool, _ holder: String, term: Duration) async throws -> LeadStatement.Row {
        let statement = LeadStatement(holder: holder, term: term, after: 0)
        return try #require(try await pool.withConnection { try await $0.query(statement).first })
    }

    @Test("A dead leader's term that ends an hour ahead is over; a live one's is not, whatever a candidate's is")
    func leader() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool { pool in
            try await pool.run(
                """
                UPDATE queue.leader SET holder = 'dead', until = clock_timestamp() + interval '1 hour',
                    term = '15 seconds' WHERE name = 'queue'
                """)
            #expect(try await lead(pool, "a", term: .seconds(60)).isLeader)
            let candidate = try await lead(pool, "b", term: .seconds(1))
            #expect(!candidate.isLeader)
            #expect(candidate.remaining > .seconds(30) && candidate.remaining <= .seconds(60))
            // Corrected by less than a term.
            try await pool.run("UPDATE queue.leader SET until = until + interval '50 seconds' WHERE name = 'queue'")
            #expect(try await !lead(pool, "b", term: .seconds(1)).isLeader)
            #expect(try await lead(pool, "a", term: .seconds(60)).remaining <= .seconds(60))
        }
    }

    @Test("Work goes on while the row names a dead leader for an hour, and a dead worker that was seen in an hour")
    func works() async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 6) { pool in
            try await pool.enqueue(1, delay: .milliseconds(50))
            try await pool.run(
                """
                INSERT INTO queue.worker (id, queue, name, busy, started_at, seen_at)
                SELECT 4711, queue.register_queue('transform'), 'dead', true, now(), now() + interval '1 hour'
                """)
            try await pool.run(
                """
                UPDATE queue.leader SET holder = 'dead', until = clock_timestamp() + interval '1 hour'
                WHERE name = 'queue'
                """)
            let settle = ClosureHandler { jobs, lease in try await lease.settle(jobs) }
            try await pool.withWorker(settle) {
                try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 1)
                try await pool.wait(until: "SELECT count(*) FROM queue.worker WHERE id = 4711", is: 0)
            }
        }
    }
}
