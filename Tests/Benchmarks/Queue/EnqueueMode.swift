import Foundation
import Lifecycle
import Observability
import Postgres
import Queue

/// Enqueues through `Enqueue.statement`, in transactions of their own.
///
/// Options: `jobs` (100000), `batch` (10000 a statement), `clients` (2), `queue` (transform), `bytes` of arguments (2).
struct EnqueueMode {
    let options: Options

    init(_ options: Options) {
        self.options = options
    }

    func run() async throws {
        let clients = options.int("clients", 2)
        let batch = options.int("batch", 10_000)
        let statements = options.int("jobs", 100_000) / batch
        let requests = Array(repeating: request(bytes: options.int("bytes", 2)), count: batch)
        let pool = PostgresPool(
            try options.database(poolSize: clients), loops: try options.loops(), logger: options.logger,
            metrics: MetricsRegistry())
        try await withService(pool) {
            let began = ContinuousClock.now
            try await withThrowingTaskGroup(of: Void.self) { group in
                for client in 0..<clients {
                    group.addTask {
                        for _ in stride(from: client, to: statements, by: clients) {
                            let statement = try Enqueue.statement(requests)
                            let ids = try await pool.withConnection { try await $0.query(statement) }
                            precondition(ids.count == batch)
                        }
                    }
                }
                try await group.waitForAll()
            }
            Report.line([
                ("jobs", statements * batch), ("seconds", (ContinuousClock.now - began).inSeconds),
                ("processor_s", Report.processorTime),
            ])
        }
    }

    private func request(bytes: Int) -> JobRequest {
        let padding = String(repeating: "x", count: max(0, bytes - 9))
        let arguments = bytes < 10 ? "{}" : #"{"a": "\#(padding)"}"#
        return JobRequest(
            queue: options.text("queue", "transform"), kind: "bench.job", arguments: Array(arguments.utf8),
            workspace: 1)
    }
}

/// Runs `body` while a service runs; then stops it and waits until it has ended.
func withService(_ service: any Service, _ body: @Sendable () async throws -> Void) async throws {
    let stop = ShutdownSignal()
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await service.run(until: stop) }
        try await body()
        stop.request()
        try await group.waitForAll()
    }
}

extension Duration {
    var inSeconds: Double { self / .seconds(1) }
}
