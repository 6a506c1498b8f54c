import Access
import Catalog
import EventLoop
public import HTTPServer
import Lifecycle
public import Platform
import Postgres
import Queue

/// The ingest service: takes records in over HTTP and lands them.
public struct IngestService: Sendable {
    public let platform: Platform
    public let server: HTTPServer
    private let services: [any Service]

    public init(_ configuration: IngestConfiguration) throws {
        platform = try Platform(
            service: "ingest", settings: configuration.service, limits: configuration.http,
            edge: configuration.edge, tls: configuration.tls, access: configuration.access)
        let metrics = IngestMetrics(platform.metrics)
        let coalescer = Coalescer(
            loop: platform.loops.next(), pool: platform.pool, wakeup: platform.wakeup,
            limits: .init(), metrics: metrics, tracer: platform.tracer)
        let listener = PostgresListener(
            channels: [Wakeup.channel], configuration: platform.database, loop: platform.loops.next(),
            logger: platform.logger)
        let waiters = ReceiptWaiters(pool: platform.pool, listener: listener, logger: platform.logger)
        let abandoned = AbandonedUploads(pool: platform.pool, logger: platform.logger)
        let landing = Int64(configuration.landingMaxBytes)
        let admission = Admission(pool: platform.pool, limits: .init(landingBytes: landing), metrics: metrics)
        admission.show(in: platform.metrics, limit: landing)
        let routes = IngestService.routes(
            configuration, platform, coalescer, admission, abandoned, waiters, metrics)
        let freshness = FreshnessMetric(pool: platform.pool, metrics: platform.metrics, logger: platform.logger)
        server = platform.server(routes: routes) {
            await freshness.refresh()
            await admission.refresh()
        }
        services = [listener, abandoned, platform.bounded(coalescer), waiters, platform.bounded(server)]
    }

    /// Runs until a signal asks it to stop.
    public func run() async throws {
        try await platform.run(services)
    }

    private static func routes(
        _ configuration: IngestConfiguration, _ platform: Platform, _ coalescer: Coalescer, _ admission: Admission,
        _ abandoned: AbandonedUploads, _ waiters: ReceiptWaiters, _ metrics: IngestMetrics
    ) -> [Route] {
        let pool = platform.pool
        let intake = Intake(
            coalescer: coalescer,
            memory: MemoryShare(budget: configuration.uploadMemory, maxRequests: configuration.maxUploads), pool: pool,
            abandoned: abandoned, wakeup: platform.wakeup, metrics: metrics)
        let policy = SourcePolicy(configuration)
        let sources = SourceDirectory(pool: pool, defaults: policy)
        let reader = ReceiptReader(pool: pool)
        let authentication = platform.authentication
        let streams = StreamIntake(
            pool: pool, coalescer: coalescer, sources: sources, admission: admission,
            memory: MemoryShare(budget: configuration.streamMemory, maxRequests: configuration.maxStreams),
            metrics: metrics, checkKey: { try await authentication.check($0, octets: $1) },
            watchKey: { try await authentication.watch($0) })
        let ingest = IngestRoute(
            sources: sources, admission: admission, intake: intake, keys: IdempotencyKeys(pool: pool), receipts: reader,
            waiters: waiters, bodyLimit: configuration.bodyMaxBytes)
        return IngestRoutes(
            ingest: ingest, stream: StreamRoute(intake: streams), receipts: ReceiptRoutes(reader: reader),
            batches: BatchRoutes(pool: pool),
            sources: SourceRoutes(catalog: SourceCatalog(pool: pool, directory: sources), defaults: policy)
        ).routes
    }
}
