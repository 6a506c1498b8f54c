public import Access
public import Configuration
public import EventLoop
import HTTP
import HTTPClient
public import HTTPServer
public import Lifecycle
public import Observability
public import Postgres
public import Queue
import Tracing

/// What every service of the platform stands on: event loops, the database pool, wake-ups, logs and metrics; and how
/// they are run together. Made once in a process.
public struct Platform: Sendable {
    /// The version that the OpenAPI documents carry.
    public static let version = "0.1.0"

    /// The service's name: `ingest`, `transform`, `store` or `analytics`.
    public let service: String
    public let settings: ServiceSettings
    /// Those of the service's server.
    public let limits: HTTPLimits
    public let edge: EdgePolicy
    /// What the service's server proves itself by; nil where it speaks HTTP in the clear.
    public let tls: TLSCertificates?
    public let logger: Logger
    public let metrics: MetricsRegistry
    public let loops: EventLoopGroup
    public let database: PostgresConfiguration
    public let pool: PostgresPool
    public let wakeup: Wakeup
    /// Where spans go; nil where nothing is traced.
    public let tracer: Tracer?
    private let exporter: SpanExporter?
    private let schema: SchemaMonitor
    /// What stands before the routes of `server`.
    public let authentication: AuthenticationMiddleware
    /// Who did what.
    public let audit: AuditTrail
    private let meter: KeyMeter
    private let issuer: TokenIssuer?
    /// By which the issuer's keys are fetched.
    private let client: HTTPClient?

    /// Log lines, those of the audit among them, go to `log`.
    /// Errors: `PostgresError` (`.configuration`) for the URL, and what making the event loops' threads throws.
    public init(
        service: String, settings: ServiceSettings, limits: HTTPLimits, edge: EdgePolicy, tls: TLSFiles?,
        access: AccessPolicy, log: LogSink = .standardError
    ) throws {
        self.service = service
        self.settings = settings
        self.limits = limits
        self.edge = edge
        logger = Logger(service: service, level: settings.logLevel, sink: log)
        metrics = MetricsRegistry()
        self.tls = tls.map { [logger, metrics] in TLSCertificates($0, logger: logger, metrics: metrics) }
        let watch = settings.loopWatch.map { [logger] in LoopWatchSettings(limit: $0, logger: logger) }
        loops = try EventLoopGroup(
            count: settings.eventLoops ?? CPUCount.available, name: service, watch: watch, metrics: metrics)
        database = try PostgresConfiguration(
            url: settings.databaseURL.reveal(), pooler: settings.poolerURL?.reveal(),
            applicationName: "millrace-\(service)", poolSize: settings.poolSize)
        pool = PostgresPool(database, loops: loops, logger: logger, metrics: metrics)
        meter = KeyMeter(pool, logger: logger, metrics: metrics)
        client = access.tokens.map { [logger, metrics, loops] _ in
            HTTPClient(on: loops.next(), settings: access.client, logger: logger, metrics: metrics)
        }
        issuer = client.flatMap { [logger, metrics] client in
            access.tokens.map { TokenIssuer($0, client: client, logger: logger, metrics: metrics) }
        }
        authentication = AuthenticationMiddleware(
            keys: StoredKeys(pool), meter: meter, issuer: issuer, metrics: metrics)
        audit = AuditTrail(access.audit, logger: Logger(service: service, level: .info, sink: log))
        wakeup = Wakeup(database, loop: loops.next(), logger: logger)
        schema = SchemaMonitor(pool: pool)
        metrics.addProcess(service: service, version: Self.version, logSink: logger.sink)
        tracer = settings.tracing.map { [metrics] in
            Tracer(sampler: TraceSampler(ratio: $0.ratio), metrics: metrics)
        }
        exporter = tracer.flatMap { [loops, logger, metrics] tracer in
            settings.tracing.map { tracing in
                SpanExporter(
                    tracer, settings: tracing,
                    service: TracedService(name: tracing.serviceName, version: Self.version), on: loops.next(),
                    logger: logger, metrics: metrics)
            }
        }
    }

    /// A server for these routes: each needs a key with the route's scope, unless the route is public. `refresh` is
    /// awaited before the metrics are rendered, for those that have to be read.
    public func server(
        routes: [Route], readiness: [ReadinessCheck] = [], refresh: @escaping @Sendable () async -> Void = {}
    ) -> HTTPServer {
        let tokens = issuer.map { issuer in
            ReadinessCheck.noting("tokens") {
                issuer.isAway ? "the token issuer's keys could not be fetched; those that are known go on" : nil
            }
        }
        var checks: [ReadinessCheck] = [.database(pool), .pool(pool), schema.readinessCheck]
        checks += (tokens.map { [$0] } ?? []) + readiness
        let all = StandardRoutes.adding(
            to: routes, title: "Millrace \(service)", version: Self.version, readiness: checks, metrics: metrics
        ) { [pool] in
            await pool.refreshAvailability()
            await refresh()
        }
        var limits = limits
        // The rest of the drain is for what answers in progress stand on.
        limits.drain = settings.drain * 4 / 5
        let application = Application(
            router: Router(routes: all), middleware: [authentication], observers: [audit], limits: limits,
            edge: edge, metrics: metrics)
        return HTTPServer(
            name: service, address: settings.host, port: settings.port, application: application, loops: loops,
            limits: limits, tls: tls, logsAccess: settings.logsAccess, tracer: tracer, logger: logger,
            metrics: metrics)
    }

    /// The same service, whose statements are given up after ``ServiceSettings/statementTimeout``: for those that
    /// answer requests.
    public func bounded(_ service: any Service) -> any Service {
        BoundedStatements(service: service, limit: settings.statementTimeout)
    }

    /// The same service, begun once the database has the schema of this build: for those that work without being asked.
    public func migrated(_ service: any Service) -> any Service {
        AwaitingMigrations(service: service, schema: schema, logger: logger)
    }

    /// Runs the services until a signal, pool first and stopped last; and ends the loops.
    public func run(_ services: [any Service]) async throws {
        defer { loops.shutdown() }
        // What stops last comes first: the spans of all the others go out before the process does.
        let exporting: [any Service] = exporter.map { [$0] } ?? []
        let issuing: [any Service] = (client.map { [$0] } ?? []) + (issuer.map { [$0] } ?? [])
        let standing: [any Service] =
            exporting + [pool, wakeup, meter, audit.unknown] + issuing + (tls.map { [$0] } ?? [])
        let group = ServiceGroup(services: standing + services, drain: settings.drain, logger: logger)
        try await group.run()
    }
}
