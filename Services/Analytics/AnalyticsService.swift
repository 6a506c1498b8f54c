import Configuration
public import HTTPServer
import Lifecycle
public import Platform
import Queue

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
        let engine = QueryEngine(
            sessions: sessions, isolation: isolation, catalog: ServerCatalog(pool: platform.pool),
            metrics: QueryMetrics(platform.metrics),
            limits: .init(answerBytes: configuration.queryMaxBytes, rowBytes: configuration.queryMaxRowBytes))
        server = platform.server(
            routes: [QueryRoute(engine: engine).route]
                + Self.endpoints(engine, platform, cacheBytes: configuration.endpointCache)
                + RollupRoutes(store: RollupStore(pool: platform.pool), wakeup: platform.wakeup).routes,
            readiness: [isolation.readinessCheck])
        var services: [any Service] = [sessions, isolation]
        if configuration.service.role.works { services.append(Self.worker(configuration, platform)) }
        self.services = services + [server]
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

    private static func worker(_ configuration: AnalyticsConfiguration, _ platform: Platform) -> Worker {
        var settings = WorkerConfiguration(slots: configuration.rollupSlots, maxClaim: 1, name: "analytics")
        settings.leader = configuration.leader
        return Worker(
            queue: "analytics", pool: platform.pool, configuration: settings,
            handler: KindDispatch(["rollup": RollupHandler(wakeup: platform.wakeup, logger: platform.logger)]),
            logger: platform.logger, metrics: platform.metrics)
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }
}
