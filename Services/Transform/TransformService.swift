import Configuration
public import HTTPServer
import Lifecycle
public import Platform
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
            edge: configuration.edge, tls: configuration.tls)
        let role = configuration.service.role
        server = platform.server(routes: role.answersRequests ? TransformService.routes(platform) : [])
        var services: [any Service] = []
        if role.works { services.append(TransformService.worker(configuration, platform)) }
        services.append(server)
        self.services = services
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }

    private static func worker(_ configuration: TransformConfiguration, _ platform: Platform) -> Worker {
        let handler = TransformHandler(
            pool: platform.pool, pipelines: PipelineCache(),
            transformer: BatchTransformer(schemas: SchemaRegistry(pool: platform.pool)), wakeup: platform.wakeup,
            logger: platform.logger, metrics: TransformMetrics(platform.metrics))
        var settings = WorkerConfiguration(slots: configuration.slots, name: "transform")
        settings.leader = configuration.leader
        return Worker(
            queue: "transform", pool: platform.pool, configuration: settings, handler: handler,
            logger: platform.logger, metrics: platform.metrics)
    }

    private static func routes(_ platform: Platform) -> [Route] {
        let store = PipelineStore(pool: platform.pool)
        let pipelines = PipelineRouteTable(pipelines: PipelineRoutes(store: store), dryRun: DryRunRoute(store: store))
        let queues = QueueRoutes(inspector: QueueInspector(pool: platform.pool), wakeup: platform.wakeup)
        return pipelines.routes + queues.routes
    }
}
