import Glibc
import Postgres
import TestSupport
import Testing

@testable import Queue

/// Processes are killed at the worst moments; afterwards each job has one effect and one outcome.
@Suite("Queue: crashes", .serialized)
struct CrashTests {
    private func withDatabase(_ body: @Sendable (TestDatabase, PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.administer(
            """
            SET ROLE millrace;
            CREATE TABLE effect (job int8);
            CREATE TABLE progress (step text);
            CREATE TABLE gate (open bool);
            CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF current_setting('application_name') = 'crasher' THEN PERFORM pg_sleep(60); END IF;
                RETURN NULL;
            END $$;
            """)
        try await database.withPool(size: 6) { try await body(database, $0) }
    }

    private let worker = ClosureHandler { jobs, lease in
        let ids = PostgresValue.int8Array(jobs.map(\.id))
        try await lease.transaction(settling: jobs) { connection in
            _ = try await connection.query("INSERT INTO effect SELECT unnest(\(ids))")
        }
    }

    /// Runs a worker of our own until all jobs have succeeded, then compares.
    private func finish(_ pool: PostgresPool, _ count: Int, charged: Int = 0) async throws {
        try await pool.withWorker(worker) {
            try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: count)
        }
        #expect(try await pool.int("SELECT count(*) FROM effect") == count)
        #expect(try await pool.int("SELECT count(DISTINCT job) FROM effect") == count)
        #expect(try await pool.int("SELECT count(*) FROM queue.outcome") == count + charged)
        #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 0)
        #expect(try await pool.int("SELECT count(*) FROM queue.backend") == 0)
    }

    @Test("Killed after the claim, and after the effect", arguments: ["claimed", "effect"])
    func killed(_ mode: String) async throws {
        try await withDatabase { database, pool in
            try await pool.enqueue(10)
            let process = try CrasherProcess(database.url, mode: mode)
            try await pool.wait(until: "SELECT count(*) FROM progress WHERE step = \(.text(mode))", is: 1)
            process.signal(SIGKILL)
            #expect(try await process.ended() == SIGKILL)
            #expect(try await pool.int("SELECT count(*) FROM queue.lease") == 1)
            try await finish(pool, 10)
        }
    }

    @Test("Killed in the middle of a settle, and of a commit", arguments: ["settle", "commit"])
    func killedInside(_ moment: String) async throws {
        try await withDatabase { database, pool in
            try await pool.enqueue(10)
            let trigger =
                moment == "settle"
                ? "CREATE TRIGGER stall AFTER INSERT ON queue.outcome FOR EACH STATEMENT EXECUTE FUNCTION stall()"
                : "CREATE CONSTRAINT TRIGGER stall AFTER INSERT ON effect DEFERRABLE INITIALLY DEFERRED "
                    + "FOR EACH ROW EXECUTE FUNCTION stall()"
            try await database.administer("SET ROLE millrace; \(trigger)")
            let process = try CrasherProcess(database.url, mode: "work")
            try await pool.wait(
                until: "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'", is: 1)
            process.signal(SIGKILL)
            #expect(try await process.ended() == SIGKILL)
            try await finish(pool, 10)
        }
    }

    /// Its server process is ended, the jobs run elsewhere, and when it goes on its commit is refused.
    @Test("Stopped in the middle of a COPY, past its lease, and continued")
    func stoppedInCopy() async throws {
        try await withDatabase { database, pool in
            try await pool.enqueue(5)
            let process = try CrasherProcess(database.url, mode: "copy")
            try await pool.wait(until: "SELECT count(*) FROM progress WHERE step = 'copy'", is: 1)
            process.signal(SIGSTOP)
            try await finish(pool, 5)
            process.signal(SIGCONT)
            try await pool.run("INSERT INTO gate VALUES (true)")
            try await pool.wait(until: "SELECT count(*) FROM progress WHERE step IN ('lost', 'refused')", is: 1)
            #expect(try await pool.int("SELECT count(*) FROM progress WHERE step = 'settled'") == 0)
            #expect(try await pool.int("SELECT count(*) FROM effect") == 5)
            // It has registered anew and works on.
            try await pool.enqueue(1)
            try await pool.wait(until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 6)
            process.signal(SIGTERM)
            #expect(try await process.ended() == nil)
            #expect(try await pool.int("SELECT count(*) FROM queue.worker") == 0)
        }
    }

    @Test("A job that kills its process reaches the dead letters; its neighbours succeed")
    func poison() async throws {
        try await withDatabase { database, pool in
            try await pool.enqueue(3)
            let poison = try await pool.enqueue(kind: "test.poison", maxAttempts: 3)
            try await pool.enqueue(3)
            var processes = 0
            while try await pool.int("SELECT count(*) FROM queue.dead") == 0, processes < 20 {
                let process = try CrasherProcess(database.url, mode: "poison")
                processes += 1
                while process.isRunning, try await pool.int("SELECT count(*) FROM queue.dead") == 0 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                if process.isRunning {
                    try await pool.wait(
                        until: "SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'", is: 6)
                    process.signal(SIGTERM)
                }
                _ = try await process.ended()
            }
            // Once in the group, uncharged; then alone, as often as it may be tried; then the one that buries it.
            #expect(processes == 5)
            #expect(try await pool.int("SELECT job FROM queue.dead") == Int(poison[0]))
            #expect(try await pool.int("SELECT count(*) FROM queue.outcome WHERE state = 'succeeded'") == 6)
            #expect(try await pool.int("SELECT count(*) FROM effect") == 6)
            let others = try await pool.int(
                "SELECT count(*) FROM queue.outcome WHERE job <> \(.int8(poison[0])) AND state <> 'succeeded'")
            #expect(others == 0)
            let errors = try await pool.texts("SELECT error FROM queue.outcome WHERE job = \(.int8(poison[0]))")
            #expect(errors.count == 4)
            #expect(errors.allSatisfy { $0.hasPrefix("worker_lost:") })
        }
    }
}
