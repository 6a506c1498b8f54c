import Configuration
public import HTTPServer
import Lifecycle
import Observability
public import Platform
import Postgres
import Queue

/// The store service: loads chunks into datasets, and serves datasets over HTTP.
public struct StoreService: Sendable {
    public let platform: Platform
    public let server: HTTPServer
    private let services: [any Service]

    public init(_ configuration: StoreConfiguration) throws {
        platform = try Platform(
            service: "store", settings: configuration.service, limits: configuration.http,
            edge: configuration.edge, tls: configuration.tls, access: configuration.access)
        let routes = StoreRoutes(pool: platform.pool, wakeup: platform.wakeup).routes
        // A process that only works still answers /healthz, /readyz and /metrics.
        server = platform.server(routes: configuration.service.role.answersRequests ? routes : [])
        var services: [any Service] = [platform.bounded(server)]
        if configuration.service.role.works {
            services.append(platform.migrated(Self.worker(configuration, platform)))
            services.append(platform.migrated(Self.maintenance(configuration, platform)))
        }
        self.services = services
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }

    private static func maintenance(_ configuration: StoreConfiguration, _ platform: Platform) -> LandingMaintenance {
        var leaving = PartitionRetirement.Settings()
        leaving.rawRetention = configuration.rawRetention
        leaving.quarantineRetention = configuration.quarantineRetention
        let retirement = PartitionRetirement(pool: platform.pool, settings: leaving, logger: platform.logger)
        var settings = LandingMaintenance.Settings()
        settings.uploadPatience = configuration.uploadPatience
        settings.keyRetention = configuration.idempotencyRetention
        settings.streamRetention = configuration.streamRetention
        settings.deletionRetention = configuration.deletionRetention
        return LandingMaintenance(
            pool: platform.pool, retirement: retirement, settings: settings, logger: platform.logger)
    }

    private static func worker(_ configuration: StoreConfiguration, _ platform: Platform) -> Worker {
        var settings = WorkerConfiguration(slots: configuration.loadSlots, maxClaim: 128, name: "store")
        settings.leader = configuration.leader
        return Worker(
            queue: "store", pool: platform.pool, configuration: settings,
            handler: handlers(
                pool: platform.pool, tables: DatasetTables(pool: platform.pool, logger: platform.logger),
                wakeup: platform.wakeup, groupBytes: configuration.loadBytes, metrics: LoadMetrics(platform.metrics),
                logger: platform.logger),
            tracer: platform.tracer, logger: platform.logger, metrics: platform.metrics)
    }

    /// What does the jobs of queue `store`, by their kinds.
    static func handlers(
        pool: PostgresPool, tables: DatasetTables, wakeup: Wakeup, groupBytes: Int, metrics: LoadMetrics,
        logger: Logger
    ) -> KindDispatch {
        func handler(_ ledger: any ChunkLedger) -> LoadHandler {
            LoadHandler(
                pool: pool, tables: tables, ledger: ledger, wakeup: wakeup, groupBytes: groupBytes, metrics: metrics,
                logger: logger)
        }
        return KindDispatch([
            "load": handler(LoadLedger()), "replace": handler(ReplaceLedger()), "heal": handler(HealLedger()),
            "rebuild": handler(RebuildLedger()),
            "run.load": handler(SliceLedger()),
            "erase": EraseHandler(pool: pool, wakeup: wakeup, logger: logger),
            WorkspaceStore.jobKind: WorkspaceRemoval(pool: pool, wakeup: wakeup, logger: logger),
            "swap": SwapHandler(
                pool: pool, tables: tables, wakeup: wakeup, groupBytes: groupBytes, metrics: metrics, logger: logger),
            "run.replace": TableReplacement(
                pool: pool, tables: tables, wakeup: wakeup, groupBytes: groupBytes, metrics: metrics, logger: logger),
        ])
    }
}
