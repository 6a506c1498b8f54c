public import Observability

/// What one process does: answer requests, work off the queue, or both.
public enum ServiceRole: String, Sendable, CaseIterable {
    case all, api, worker

    public var answersRequests: Bool { self != .worker }
    public var works: Bool { self != .api }
}

/// The settings that every service has.
///
/// | variable | default | |
/// |---|---|---|
/// | `DATABASE_URL`, `DATABASE_URL_FILE` | required | a libpq connection URL |
/// | `MILLRACE_POOLER_URL`, `MILLRACE_POOLER_URL_FILE` | | the same database through a transaction pooler |
/// | `MILLRACE_ROLE` | `all` | `api`, `worker` or `all` |
/// | `MILLRACE_HOST` | `127.0.0.1` | the address to listen on |
/// | `MILLRACE_<SERVICE>_PORT`, `MILLRACE_LISTEN_PORT` | the service's own | the first that is set |
/// | `MILLRACE_LOG_LEVEL` | `info` | `debug`, `info`, `warning`, `error` |
/// | `MILLRACE_ACCESS_LOG` | `false` | a line for every request, not only for faults of the service |
/// | `MILLRACE_EVENT_LOOPS` | one a core | threads that wait for sockets |
/// | `MILLRACE_LOOP_WATCH` | `0s`, or `50ms` at the level `debug` | how long a job may hold a loop up unreported |
/// | `MILLRACE_POOL_SIZE` | 8 | connections to PostgreSQL |
/// | `MILLRACE_STATEMENT_TIMEOUT` | `60s` | how long a statement for a request may take |
/// | `MILLRACE_DRAIN` | `25s` | how long a stopping process finishes its work |
///
/// And those of ``TracingSettings``.
public struct ServiceSettings: Sendable {
    public let databaseURL: Secret
    /// The same database through a transaction pooler, for all that needs no session; nil where there is none.
    public let poolerURL: Secret?
    public let role: ServiceRole
    public let host: String
    public let port: UInt16
    public let logLevel: LogLevel
    /// Whether every answer is logged, or only the service's own faults.
    public let logsAccess: Bool
    /// Nil means one a core.
    public let eventLoops: Int?
    /// How long a job may hold an event loop up before that is logged; nil means for ever.
    public let loopWatch: Duration?
    public let poolSize: Int
    /// Of requests, and of what lands records: work in the background, queries and exports have their own limits.
    public let statementTimeout: Duration
    public let drain: Duration
    /// Nil where nothing is traced.
    public let tracing: TracingSettings?

    /// Reads them; `service` is the name in small letters (`ingest`). Faults are kept in `settings`.
    public init(service: String, defaultPort: UInt16, from settings: inout Settings) {
        databaseURL = settings.requiredSecret("DATABASE_URL")
        poolerURL = settings.optionalSecret("MILLRACE_POOLER_URL")
        role = settings.choice("MILLRACE_ROLE", default: .all)
        (host, port) = ServiceSettings.listening(service: service, defaultPort: defaultPort, from: &settings)
        logLevel = settings.choice("MILLRACE_LOG_LEVEL", default: .info)
        logsAccess = settings.boolean("MILLRACE_ACCESS_LOG", default: false)
        let loops = settings.integer("MILLRACE_EVENT_LOOPS", default: 0, in: 0...256)
        eventLoops = loops == 0 ? nil : loops
        let watch = settings.duration(
            "MILLRACE_LOOP_WATCH", default: logLevel == .debug ? .milliseconds(50) : .zero, in: .zero ... .seconds(60))
        loopWatch = watch == .zero ? nil : watch
        poolSize = settings.integer("MILLRACE_POOL_SIZE", default: 8, in: 1...500)
        statementTimeout = settings.duration(
            "MILLRACE_STATEMENT_TIMEOUT", default: .seconds(60), in: .seconds(1) ... .seconds(3600))
        drain = settings.duration("MILLRACE_DRAIN", default: .seconds(25), in: .zero ... .seconds(3600))
        tracing = TracingSettings(service: service, from: &settings)
    }

    /// Where the service listens, which is all that whoever only asks it has to know.
    public static func listening(
        service: String, defaultPort: UInt16, from settings: inout Settings
    ) -> (host: String, port: UInt16) {
        let names = ["MILLRACE_\(service.uppercased())_PORT", "MILLRACE_LISTEN_PORT"]
        return (settings.text("MILLRACE_HOST", default: "127.0.0.1"), settings.port(names, default: defaultPort))
    }
}
