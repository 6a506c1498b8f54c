import EventLoop
import Lifecycle
import Migrations
import Observability
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Queue

/// A database with the queue's schema, copied from a template.
enum QueueDatabase {
    static func make() async throws -> TestDatabase {
        try await TemporaryPostgres.shared().database(template: "queue") { try await migrate($0) }
    }

    static func migrate(_ url: String) async throws {
        let configuration = try PostgresConfiguration(url: url)
        try await withRunningPool(configuration) { _ = try await Migrator(logger: .silent).run($0) }
    }
}

/// Settings that make tests quick: short polls, beats, terms and backoffs.
extension WorkerConfiguration {
    static func quick(slots: Int = 2, maxClaim: Int = 64) -> WorkerConfiguration {
        var configuration = WorkerConfiguration(slots: slots, maxClaim: maxClaim, name: "test")
        configuration.pollInterval = .milliseconds(500)
        configuration.beatInterval = .milliseconds(200)
        configuration.backoff = Backoff(base: .milliseconds(10), cap: .milliseconds(100))
        configuration.leader.term = .seconds(2)
        configuration.leader.renewal = .milliseconds(500)
        configuration.leader.watch = .milliseconds(200)
        configuration.leader.livenessTimeout = .seconds(1)
        configuration.leader.grace = .milliseconds(500)
        return configuration
    }
}

extension PostgresPool {
    @discardableResult
    func enqueue(
        _ count: Int = 1, queue: String = "transform", kind: String = "test.job", priority: Int16 = 0,
        delay: Duration? = nil, maxAttempts: Int16 = 20
    ) async throws -> [Int64] {
        let request = JobRequest(
            queue: queue, kind: kind, arguments: Array(#"{"n": 1}"#.utf8), workspace: 1, priority: priority,
            delay: delay, maxAttempts: maxAttempts)
        let statement = try Enqueue.statement(Array(repeating: request, count: count))
        return try await withConnection { try await $0.query(statement) }.map(\.id)
    }
}

extension PostgresPool {
    @discardableResult
    func enqueue(_ requests: [JobRequest]) async throws -> [EnqueuedJob] {
        let statement = try Enqueue.statement(requests)
        return try await withConnection { try await $0.query(statement) }
    }
}

enum QueueTestError: Error {
    case planned
}

/// A handler made of a closure.
struct ClosureHandler: JobHandler {
    var dying: @Sendable (Job, JobFailure, PostgresConnection) async throws -> Void = { _, _, _ in }
    let body: @Sendable ([Job], Lease) async throws -> Void

    init(_ body: @escaping @Sendable ([Job], Lease) async throws -> Void) {
        self.body = body
    }

    func handle(_ jobs: [Job], lease: Lease) async {
        do {
            try await body(jobs, lease)
        } catch {
            await lease.fail(jobs, JobFailure(error))
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        try await dying(job, error, connection)
    }
}

extension PostgresPool {
    /// Runs `body` beside a worker of the queue.
    func withWorker<T: Sendable>(
        _ handler: any JobHandler, _ configuration: WorkerConfiguration = .quick(), queue: String = "transform",
        tracer: Tracer? = nil, metrics: MetricsRegistry = MetricsRegistry(),
        _ body: @Sendable () async throws -> T
    ) async throws -> T {
        let worker = Worker(
            queue: queue, pool: self, configuration: configuration, handler: handler, tracer: tracer,
            logger: .silent, metrics: metrics)
        return try await withRunningService(worker, body)
    }
}

/// What handlers note down.
final class Notes<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    func add(_ value: Value) {
        values.withLock { $0.append(value) }
    }

    var all: [Value] { values.withLock { $0 } }
}
