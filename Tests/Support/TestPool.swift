public import EventLoop
public import Lifecycle
public import Observability
public import Postgres

/// Event loops for all tests of the process.
public enum TestLoops {
    private static let made = Result { try EventLoopGroup(count: 2, name: "test") }

    public static func shared() throws -> EventLoopGroup { try made.get() }
}

extension TestDatabase {
    /// Settings for this database, patient enough for a machine that does much else.
    public func configuration(poolSize: Int = 4) throws -> PostgresConfiguration {
        var configuration = try PostgresConfiguration(
            url: url, applicationName: "test", poolSize: poolSize, connectTimeout: .seconds(20))
        configuration.acquireTimeout = .seconds(30)
        return configuration
    }

    /// Runs `body` with a pool on this database, which is shut down afterwards.
    public func withPool<T: Sendable>(
        size: Int = 4, _ body: @Sendable (PostgresPool) async throws -> T
    ) async throws -> T {
        try await withRunningPool(try configuration(poolSize: size), body)
    }
}

/// Runs `body` with a pool, which is shut down afterwards.
public func withRunningPool<T: Sendable>(
    _ configuration: PostgresConfiguration, metrics: MetricsRegistry = MetricsRegistry(),
    _ body: @Sendable (PostgresPool) async throws -> T
) async throws -> T {
    let pool = PostgresPool(configuration, loops: try TestLoops.shared(), logger: .silent, metrics: metrics)
    return try await withRunningService(pool) { try await body(pool) }
}

/// Runs `body` while a service runs; then asks the service to stop and waits until it has.
public func withRunningService<T: Sendable>(
    _ service: any Service, _ body: @Sendable () async throws -> T
) async throws -> T {
    let shutdown = ShutdownSignal()
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await service.run(until: shutdown) }
        let result: Result<T, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        shutdown.request()
        try await group.waitForAll()
        return try result.get()
    }
}
