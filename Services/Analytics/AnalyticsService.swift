public import HTTPServer
import Lifecycle
public import Platform

/// The analytics service: answers users' SQL over the datasets of their workspace.
public struct AnalyticsService: Sendable {
    public let platform: Platform
    public let server: HTTPServer
    /// All but the pool, in the order they start.
    let services: [any Service]

    public init(_ configuration: AnalyticsConfiguration) throws {
        platform = try Platform(
            service: "analytics", settings: configuration.service, limits: configuration.http,
            edge: configuration.edge, tls: configuration.tls)
        let slots = QuerySlots.Limits(
            perWorkspace: configuration.querySlots, total: configuration.totalQuerySlots,
            waiting: configuration.queryWaiting)
        let sessions = QuerySessions(
            platform.database, pool: platform.pool, loops: platform.loops, limits: slots,
            patience: configuration.queryPatience, logger: platform.logger)
        let isolation = IsolationMonitor(pool: platform.pool, logger: platform.logger)
        let engine = QueryEngine(
            sessions: sessions, isolation: isolation, catalog: ServerCatalog(pool: platform.pool),
            metrics: QueryMetrics(platform.metrics),
            limits: .init(answerBytes: configuration.queryMaxBytes, rowBytes: configuration.queryMaxRowBytes))
        server = platform.server(
            routes: [QueryRoute(engine: engine).route], readiness: [isolation.readinessCheck])
        services = [sessions, isolation, server]
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }
}
