import Access
import Configuration
import EventLoop
public import HTTPServer
import Lifecycle
public import Observability
public import Platform
import Postgres
import Queue

/// The analytics service: answers users' SQL over the datasets of their workspace, asked at once or published as an
/// endpoint.
public struct AnalyticsService: Sendable {
    public let platform: Platform
    public let server: HTTPServer
    /// All but the pool, in the order they start.
    let services: [any Service]

    /// Its log goes to `log`.
    public init(_ configuration: AnalyticsConfiguration, log: LogSink = .standardError) throws {
        platform = try Platform(
            service: "analytics", settings: configuration.service, limits: configuration.http,
            edge: configuration.edge, tls: configuration.tls, access: configuration.access,
            log: log)
        let slots = QuerySlots.Limits(
            perWorkspace: configuration.querySlots, total: configuration.totalQuerySlots,
            waiting: configuration.queryWaiting)
        let sessions = QuerySessions(
            platform.database, pool: platform.pool, loops: platform.loops, limits: slots,
            patience: configuration.queryPatience, logger: platform.logger, metrics: platform.metrics)
        let isolation = IsolationMonitor(pool: platform.pool, logger: platform.logger)
        let metrics = QueryMetrics(platform.metrics)
        let memory = QueryMemory(pool: platform.pool, limit: configuration.queryMemory, logger: platform.logger)
        let engine = QueryEngine(
            sessions: sessions, isolation: isolation, catalog: ServerCatalog(pool: platform.pool), memory: memory,
            metrics: metrics,
            limits: .init(answerBytes: configuration.queryMaxBytes, rowBytes: configuration.queryMaxRowBytes))
        let profiles = ProfileEngine(
            sessions: sessions, isolation: isolation, pool: platform.pool, memory: memory, metrics: metrics)
        let hints = PostgresListener(
            channels: [Wakeup.channel], configuration: platform.database, loop: platform.loops.next(),
            logger: platform.logger)
        let feed = RollupFeed(
            pool: platform.pool, hints: hints, metrics: platform.metrics, logger: platform.logger)
        let routes =
            try [QueryRoute(engine: engine).route, ProfileRoute(engine: profiles).route]
            + Self.endpoints(engine, platform, cacheBytes: configuration.endpointCache)
            + DashboardRoutes(store: DefinitionStore(pool: platform.pool), engine: engine).routes
            + Self.rollups(feed, platform)
            + Self.sessions(platform, lifetime: configuration.sessionLifetime)
            + Self.console(configuration)
        // A process that only works still answers /healthz, /readyz and /metrics. It runs no user's query and nobody
        // listens to it, so it holds no session for either, and whether users are kept apart is not its to say.
        let role = configuration.service.role
        let answers = role.answersRequests
        let lag = RollupLagMetric(pool: platform.pool, metrics: platform.metrics, logger: platform.logger)
        server = platform.server(
            routes: answers ? routes : [], readiness: answers ? [isolation.readinessCheck] : []
        ) { await lag.refresh() }
        var services: [any Service] = answers ? [sessions, isolation, memory, hints, feed] : []
        if role.works { services.append(platform.migrated(Self.worker(configuration, platform))) }
        self.services = services + [platform.bounded(server)]
    }

    private static func endpoints(_ engine: QueryEngine, _ platform: Platform, cacheBytes: Int) -> [Route] {
        let metrics = EndpointMetrics(platform.metrics)
        let cache = EndpointCache(capacity: cacheBytes)
        metrics.watch(cache)
        let store = DefinitionStore<StoredEndpoint>(pool: platform.pool)
        let directory = EndpointDirectory(store: store, metrics: metrics)
        let caller = EndpointCaller(engine: engine, cache: cache, metrics: metrics)
        return EndpointRoutes(store: store, directory: directory, engine: engine).routes
            + [EndpointDataRoute(directory: directory, caller: caller).route]
    }

    private static func rollups(_ feed: RollupFeed, _ platform: Platform) -> [Route] {
        let authentication = platform.authentication
        // Reads take half of the connections at most, and those of a workspace half of that: what is slow to read must
        // not keep everything else of the service waiting.
        let share = max(1, platform.database.poolSize / 2)
        let reads = QueryGate(QuerySlots.Limits(perWorkspace: max(1, share / 2), total: share, waiting: 64))
        return RollupRoutes(
            store: DefinitionStore(pool: platform.pool), feed: feed, reads: reads, wakeup: platform.wakeup,
            watchKey: { try await authentication.watch($0) }
        ).routes
    }

    private static func sessions(_ platform: Platform, lifetime: Duration) -> [Route] {
        let sessions = Sessions(
            pool: platform.pool, authentication: platform.authentication, lifetime: lifetime)
        return SessionRoutes(sessions: sessions, audit: platform.audit).routes
    }

    private static func console(_ configuration: AnalyticsConfiguration) throws -> [Route] {
        guard let folder = configuration.console else { return [] }
        return try ConsoleFiles(folder: folder, libraries: configuration.consoleLibraries).routes
    }

    private static func worker(_ configuration: AnalyticsConfiguration, _ platform: Platform) -> Worker {
        var settings = WorkerConfiguration(slots: configuration.rollupSlots, maxClaim: 1, name: "analytics")
        settings.leader = configuration.leader
        return Worker(
            queue: "analytics", pool: platform.pool, configuration: settings,
            handler: KindDispatch([
                "rollup": RollupHandler(
                    pool: platform.pool, wakeup: platform.wakeup, metrics: RollupMetrics(platform.metrics),
                    logger: platform.logger)
            ]),
            tracer: platform.tracer, logger: platform.logger, metrics: platform.metrics)
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }
}
