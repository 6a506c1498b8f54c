import Configuration
public import HTTPServer
import Lifecycle
import Observability
public import Platform
import Postgres
import Queue

/// The transform service: turns batches into rows by pipelines, and keeps the pipelines.
public struct TransformService: Sendable {
    public let platform: Platform
    /// Nil for a process that only works.
    public let server: HTTPServer
    private let services: [any Service]

    public init(_ configuration: TransformConfiguration) throws {
        platform = try Platform(
            service: "transform", settings: configuration.service, limits: configuration.http,
            edge: configuration.edge, tls: configuration.tls, access: configuration.access)
        let role = configuration.service.role
        server = platform.server(routes: role.answersRequests ? TransformService.routes(platform) : [])
        var services: [any Service] = []
        if role.works { services.append(platform.migrated(TransformService.worker(configuration, platform))) }
        services.append(platform.bounded(server))
        self.services = services
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }

    private static func worker(_ configuration: TransformConfiguration, _ platform: Platform) -> Worker {
        var settings = WorkerConfiguration(slots: configuration.slots, name: "transform")
        settings.leader = configuration.leader
        return Worker(
            queue: "transform", pool: platform.pool, configuration: settings,
            handler: handlers(
                pool: platform.pool, wakeup: platform.wakeup, logger: platform.logger, metrics: platform.metrics),
            tracer: platform.tracer, logger: platform.logger, metrics: platform.metrics)
    }

    /// What does the jobs of queue `transform`, by their kinds.
    static func handlers(
        pool: PostgresPool, wakeup: Wakeup, logger: Logger, metrics: MetricsRegistry,
        limits: TableRunLimits = TableRunLimits()
    ) -> KindDispatch {
        let lookups = Lookups(pool: pool)
        let pipelines = PipelineCache(lookups: lookups, salts: WorkspaceSalts(pool: pool))
        let transformer = BatchTransformer(schemas: SchemaRegistry(pool: pool), lookups: lookups)
        let counts = TransformMetrics(metrics)
        func runs(_ kind: RunKind) -> ReplayHandler {
            ReplayHandler(
                pool: pool, kind: kind, pipelines: pipelines, transformer: transformer, wakeup: wakeup,
                logger: logger, metrics: counts)
        }
        return KindDispatch([
            "transform": TransformHandler(
                pool: pool, pipelines: pipelines, transformer: transformer, wakeup: wakeup, logger: logger,
                metrics: counts),
            "run.replay": runs(.replay), "run.heal": runs(.heal),
            "run.compare": CompareHandler(logger: logger),
            "run.start": RunStartHandler(
                starter: RunStarter(), tables: TableRunStarter(), wakeup: wakeup, logger: logger),
            "run.begin": TableBeginHandler(pool: pool, wakeup: wakeup, logger: logger, limits: limits),
            "run.slice": TableSliceHandler(
                pool: pool, pipelines: pipelines, transformer: transformer, wakeup: wakeup, logger: logger,
                metrics: counts, limits: limits),
        ])
    }

    private static func routes(_ platform: Platform) -> [Route] {
        let store = PipelineStore(pool: platform.pool)
        let lookups = Lookups(pool: platform.pool)
        let pipelines = PipelineRouteTable(
            pipelines: PipelineRoutes(store: store, lookups: lookups),
            dryRun: DryRunRoute(store: store, salts: WorkspaceSalts(pool: platform.pool), lookups: lookups))
        let queues = QueueRoutes(inspector: QueueInspector(pool: platform.pool), wakeup: platform.wakeup)
        let jobs = JobRoutes(inspector: queues.inspector, wakeup: platform.wakeup)
        let schedules = ScheduleRoutes(store: ScheduleStore(pool: platform.pool), wakeup: platform.wakeup)
        let runs = RunRoutes(
            pool: platform.pool, starter: RunStarter(), inspector: queues.inspector, wakeup: platform.wakeup)
        return pipelines.routes + runs.routes + queues.routes + jobs.routes + schedules.routes
    }
}
