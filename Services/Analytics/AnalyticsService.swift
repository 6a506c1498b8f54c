public import HTTPServer
import Lifecycle
public import Platform

/// The analytics service: answers users' SQL over the datasets of their workspace, asked at once or published as an
/// endpoint.
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
        let metrics = QueryMetrics(platform.metrics)
        let engine = QueryEngine(
            sessions: sessions, isolation: isolation, catalog: ServerCatalog(pool: platform.pool), metrics: metrics,
            limits: .init(answerBytes: configuration.queryMaxBytes, rowBytes: configuration.queryMaxRowBytes))
        let profiles = ProfileEngine(
            sessions: sessions, isolation: isolation, pool: platform.pool, metrics: metrics)
        server = platform.server(
            routes: [QueryRoute(engine: engine).route, ProfileRoute(engine: profiles).route]
                + Self.endpoints(engine, platform, cacheBytes: configuration.endpointCache),
            readiness: [isolation.readinessCheck])
        services = [sessions, isolation, server]
    }

    private static func endpoints(_ engine: QueryEngine, _ platform: Platform, cacheBytes: Int) -> [Route] {
        let metrics = EndpointMetrics(platform.metrics)
        let cache = EndpointCache(capacity: cacheBytes)
        metrics.watch(cache)
        let store = EndpointStore(pool: platform.pool)
        let directory = EndpointDirectory(store: store, metrics: metrics)
        let caller = EndpointCaller(engine: engine, cache: cache, metrics: metrics)
        return EndpointRoutes(store: store, directory: directory, engine: engine).routes
            + [EndpointDataRoute(directory: directory, caller: caller).route]
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }
}
