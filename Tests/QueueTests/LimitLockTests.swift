import EventLoop
import Postgres
import TestSupport
import Testing

@testable import Queue

/// Jobs at their key's limit while transactions of others stay open.
@Suite("Queue: limits and open transactions")
struct LimitLockTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { pool in
            try await QueueLimits(pool: pool).set(QueueLimit(concurrency: 1), named: "host", of: "transform")
            try await body(pool)
        }
    }

    /// Enqueues jobs with the keys and lets them through their gate.
    private func admit(_ keys: [String], _ pool: PostgresPool) async throws -> [Int64] {
        let requests = keys.map { key in
            var request = JobRequest(queue: "transform", kind: "test.job", arguments: Array("{}".utf8), workspace: 1)
            request.limitKey = key
            return request
        }
        let ids = try await pool.enqueue(requests).map(\.id)
        try await pool.run("SELECT queue.admit(0::int2, 0, 100)")
        return ids
    }

    private func cancel(_ job: Int64) -> PostgresQuery { "SELECT queue.cancel(\(.int8(job)))" }

    /// Runs `body` within a transaction that has sent a statement; it ends the transaction itself.
    private func whileOpen(
        _ pool: PostgresPool, _ statement: PostgresQuery,
        _ body: @escaping @Sendable (PostgresConnection) async throws -> Void
    ) async throws {
        try await pool.withConnection { connection in
            try await connection.execute(script: "BEGIN")
            try await connection.query(statement)
            try await body(connection)
        }
    }

    private let waiting: PostgresQuery = """
        SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
        """

    @Test("A blocked job whose cancellation is rolled back is let through in its turn")
    func cancelRolledBack() async throws {
        try await withPool { pool in
            let ids = try await admit(["host:a", "host:a", "host:a"], pool)
            try await whileOpen(pool, cancel(ids[1])) { connection in
                // The end of the job that is let through lets the next one through.
                async let end: Void = pool.run(cancel(ids[0]))
                // It waits for the key. One that did not would have passed the blocked job over by then.
                let waitsOrEnds: PostgresQuery = """
                    SELECT (count(*) + (SELECT count(*) FROM queue.outcome) > 0)::int FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'
                    """
                try await pool.wait(until: waitsOrEnds, is: 1)
                try await connection.execute(script: "ROLLBACK")
                try await end
            }
            #expect(try await QueueInspector(pool: pool).job(ids[1])?.state == .ready)
            #expect(try await QueueInspector(pool: pool).job(ids[2])?.state == .blocked)
            let hidden = "SELECT count(*) FROM queue.blocked b JOIN queue.limit_key k ON b.position <= k.mark"
            #expect(try await pool.int("\(unsafeText: hidden)") == 0)
        }
    }

    @Test("A job that is let through while its cancellation waits for the key is cancelled as one that is ready")
    func cancelAfterOpening() async throws {
        try await withPool { pool in
            let ids = try await admit(["host:a", "host:a"], pool)
            try await whileOpen(pool, cancel(ids[0])) { connection in
                async let other: Void = pool.run(cancel(ids[1]))
                try await pool.wait(until: waiting, is: 1)
                try await connection.execute(script: "COMMIT")
                try await other
            }
            #expect(try await QueueInspector(pool: pool).job(ids[1])?.state == .cancelled)
            #expect(try await pool.int("SELECT count(*) FROM queue.permit") == 0)
            #expect(try await pool.int("SELECT held FROM queue.limit_key") == 0)
        }
    }

    @Test("A limit that is set anew locks the keys in the order of all others, wherever their rows lie")
    func setsInOrder() async throws {
        try await withPool { pool in
            // The later of two keys has the place of one that is gone: it is found first, whatever the plan.
            let gone = try await admit(["host:x"], pool)
            _ = try await admit(["host:b"], pool)
            try await pool.run(cancel(gone[0]))
            try await pool.run("DELETE FROM queue.limit_key WHERE key = 'host:x'")
            try await pool.run("VACUUM queue.limit_key")
            _ = try await admit(["host:a"], pool)
            let key = try await pool.int("SELECT min(id) FROM queue.limit_key")
            let lock: PostgresQuery = "SELECT FROM queue.limit_key WHERE id = \(.int(key)) FOR NO KEY UPDATE"
            try await whileOpen(pool, lock) { connection in
                async let set: Void = QueueLimits(pool: pool).set(
                    QueueLimit(concurrency: 2), named: "host", of: "transform")
                try await pool.wait(until: waiting, is: 1)
                // As the end of two jobs with these keys does.
                try await connection.query(
                    "SELECT FROM queue.limit_key WHERE id > \(.int(key)) ORDER BY id FOR NO KEY UPDATE")
                try await connection.execute(script: "COMMIT")
                try await set
            }
        }
    }

    @Test("A key that is forgotten at the moment at which a job is admitted is made again, and no job is lost")
    func keyForgotten() async throws {
        try await withPool { pool in
            // What queue.open_due does elsewhere, between two statements of queue.admit.
            try await pool.run(
                """
                CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    IF nextval('forgotten') = 1 THEN DELETE FROM queue.limit_key; END IF;
                    RETURN NULL;
                END $$
                """)
            try await pool.run("CREATE SEQUENCE forgotten")
            try await pool.run(
                """
                CREATE TRIGGER forget AFTER INSERT ON queue.limit_key FOR EACH STATEMENT EXECUTE FUNCTION forget()
                """)
            let ids = try await admit(["host:a", "host:a"], pool)
            #expect(try await QueueInspector(pool: pool).job(ids[0])?.state == .ready)
            let blocked: PostgresQuery = """
                SELECT job FROM queue.blocked b JOIN queue.limit_key k ON k.id = b.limit_id
                """
            #expect(try await pool.int(blocked) == Int(ids[1]))
        }
    }
}
