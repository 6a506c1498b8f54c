import EventLoop
import Lifecycle
import Postgres
import TestSupport
import Testing

@testable import Queue

/// Dead letters that had a unique key: of one key one job is there, whoever is redriven.
@Suite("Queue: unique keys and redrive")
struct UniqueRedriveTests {
    private func withPool(_ body: @Sendable (PostgresPool) async throws -> Void) async throws {
        let database = try await QueueDatabase.make()
        try await database.withPool(size: 8) { try await body($0) }
    }

    private func request(
        _ key: String?, until: JobRequest.UniqueKey.Until = .finished, items: Int32? = nil
    ) -> JobRequest {
        var request = JobRequest(queue: "transform", kind: "test.job", arguments: Array("{}".utf8), workspace: 1)
        request.unique = key.map { JobRequest.UniqueKey($0, until: until) }
        request.items = items
        return request
    }

    /// Enqueues one job and has it die.
    private func die(_ request: JobRequest, _ pool: PostgresPool) async throws -> Int64 {
        let job = try await pool.enqueue([request])[0]
        #expect(job.isNew)
        let handler = ClosureHandler { jobs, lease in
            await lease.fail(jobs, JobFailure(code: "bad", message: "", isPermanent: true))
        }
        try await pool.withWorker(handler) {
            try await pool.wait(
                until: "SELECT (count(*) > 0)::int FROM queue.dead WHERE job = \(.int8(job.id))", is: 1)
        }
        return job.id
    }

    private func holder(of key: String, _ pool: PostgresPool) async throws -> Int {
        try await pool.int("SELECT coalesce(max(job), 0) FROM queue.unique_key WHERE key = \(.text(key))")
    }

    @Test("A redriven job has its key again; where another has it by then, the dead one stays dead until it has ended")
    func takesKey() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            let dead = try await die(request("daily"), pool)
            let second = try await pool.enqueue([request("daily")])[0]
            #expect(second.isNew)
            let refused = try await inspector.redrive("transform", jobs: [dead])
            #expect(refused == Redrive(jobs: [], held: [dead: second.id]))
            #expect(try await inspector.job(dead)?.state == .dead)
            #expect(try await inspector.cancel(second.id) == .cancelled)
            #expect(try await inspector.redrive("transform") == Redrive(jobs: [dead], held: [:]))
            #expect(try await pool.enqueue([request("daily")]) == [EnqueuedJob(id: dead, isNew: false)])
        }
    }

    @Test("Of all dead letters those are passed over whose key is taken, and of several with one key one is redriven")
    func passesOver() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            var dead: [Int64] = []
            for key in ["taken", "twice", "twice", nil] { dead.append(try await die(request(key), pool)) }
            var later = request("taken")
            later.delay = .seconds(3600)
            let holder = try await pool.enqueue([later])[0].id
            let one = try await inspector.redrive("transform", limit: 1)
            #expect(one == Redrive(jobs: [dead[1]], held: [dead[0]: holder]))
            try await pool.run("SELECT queue.cancel(\(.int8(dead[1])))")
            dead[1] = try await die(request("twice"), pool)
            #expect(
                try await inspector.redrive("transform")
                    == Redrive(jobs: [dead[2], dead[3]], held: [dead[0]: holder, dead[1]: dead[2]]))
        }
    }

    @Test("A key until the start, or for a time, is not taken again; an array keeps its own")
    func otherKeys() async throws {
        try await withPool { pool in
            let inspector = QueueInspector(pool: pool)
            let started = try await die(request("start", until: .started), pool)
            let timed = try await die(request("time", until: .time(.seconds(3600))), pool)
            let array = try await die(request("array", items: 2), pool)
            let next = try await pool.enqueue([request("start", until: .started)])[0]
            #expect(next.isNew)
            #expect(try await inspector.redrive("transform").jobs == [started, timed, array])
            #expect(try await holder(of: "start", pool) == Int(next.id))
            #expect(try await holder(of: "array", pool) == Int(array))
            #expect(try await inspector.redrive("transform") == Redrive(jobs: [], held: [:]))
        }
    }

    @Test("A dead letter that somebody cancels at the same moment is not redriven and does not keep the key")
    func besideCancel() async throws {
        try await withPool { pool in
            let dead = try await die(request("daily"), pool)
            try await pool.withConnection { connection in
                try await connection.execute(script: "BEGIN")
                try await connection.query("SELECT queue.cancel(\(.int8(dead)))")
                #expect(try await QueueInspector(pool: pool).redrive("transform") == Redrive(jobs: [], held: [:]))
                try await connection.execute(script: "COMMIT")
            }
            #expect(try await holder(of: "daily", pool) == 0)
        }
    }
}
