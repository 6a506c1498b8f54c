public import Configuration
public import HTTPServer
public import Platform
public import Queue

/// What the analytics service reads from its environment, besides ``ServiceSettings``, ``HTTPLimits``,
/// ``EdgePolicy``, ``TLSFiles`` and ``AccessPolicy``.
///
/// | variable | default | |
/// |---|---|---|
/// | `MILLRACE_QUERY_SLOTS` | 8 | queries of one workspace at the same time |
/// | `MILLRACE_QUERY_TOTAL_SLOTS` | 32 | queries of all workspaces at the same time, each a connection |
/// | `MILLRACE_QUERY_WAITING` | 64 | queries of one workspace that may wait for their turn |
/// | `MILLRACE_QUERY_PATIENCE` | `5s` | how long a query waits for its turn |
/// | `MILLRACE_QUERY_MAX_BYTES` | `64MiB` | an answer in JSON; a longer one is truncated |
/// | `MILLRACE_QUERY_MAX_ROW_BYTES` | `32MiB` | one row; a larger one ends its query |
/// | `MILLRACE_QUERY_MEMORY` | `1GiB` | what a query may take of the server's memory, where it can be watched |
/// | `MILLRACE_SESSION_LIFETIME` | `12h` | how long one is signed in, unless the key ends sooner |
/// | `MILLRACE_CONSOLE` | | the folder of the console's files; there is no console where it is not set |
/// | `MILLRACE_CONSOLE_LIBRARIES` | `/usr/share/javascript` | where Debian installs the libraries that it needs |
/// | `MILLRACE_ROLLUP_SLOTS` | 2 | rollups that are brought up to date at the same time |
/// | `MILLRACE_ENDPOINT_CACHE` | `64MiB` | what answers of endpoints with a `cache_ttl` take, of up to 1 MiB each |
public struct AnalyticsConfiguration: Sendable {
    /// Where the service listens unless it is told otherwise.
    public static let defaultPort: UInt16 = 8084

    public var service: ServiceSettings
    public var http: HTTPLimits
    public var edge: EdgePolicy
    public var tls: TLSFiles?
    public var access: AccessPolicy
    public var querySlots: Int
    public var totalQuerySlots: Int
    public var queryWaiting: Int
    public var queryPatience: Duration
    public var queryMaxBytes: Int
    public var queryMaxRowBytes: Int
    public var queryMemory: Int
    public var endpointCache: Int
    public var sessionLifetime: Duration
    public var console: String?
    public var consoleLibraries: String
    public var rollupSlots: Int
    public var leader: LeaderConfiguration

    public init(_ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        service = ServiceSettings(
            service: "analytics", defaultPort: AnalyticsConfiguration.defaultPort, from: &settings)
        http = HTTPLimits(from: &settings)
        edge = EdgePolicy(from: &settings)
        tls = TLSFiles(from: &settings)
        access = AccessPolicy(from: &settings)
        querySlots = settings.integer("MILLRACE_QUERY_SLOTS", default: 8, in: 1...20)
        totalQuerySlots = settings.integer("MILLRACE_QUERY_TOTAL_SLOTS", default: 32, in: 1...1000)
        queryWaiting = settings.integer("MILLRACE_QUERY_WAITING", default: 64, in: 0...10_000)
        queryPatience = settings.duration(
            "MILLRACE_QUERY_PATIENCE", default: .seconds(5), in: .zero ... .seconds(60))
        queryMaxBytes = settings.byteCount("MILLRACE_QUERY_MAX_BYTES", default: 64 << 20, in: 1024...(1 << 32))
        queryMaxRowBytes = settings.byteCount("MILLRACE_QUERY_MAX_ROW_BYTES", default: 32 << 20, in: 65_536...(1 << 30))
        queryMemory = settings.byteCount("MILLRACE_QUERY_MEMORY", default: 1 << 30, in: (64 << 20)...(1 << 40))
        endpointCache = settings.byteCount("MILLRACE_ENDPOINT_CACHE", default: 64 << 20, in: 0...(1 << 36))
        sessionLifetime = settings.duration(
            "MILLRACE_SESSION_LIFETIME", default: .seconds(12 * 3600), in: .seconds(60) ... .seconds(30 * 86_400))
        console = settings.optionalText("MILLRACE_CONSOLE")
        consoleLibraries = settings.text("MILLRACE_CONSOLE_LIBRARIES", default: "/usr/share/javascript")
        rollupSlots = settings.integer("MILLRACE_ROLLUP_SLOTS", default: 2, in: 1...32)
        leader = LeaderConfiguration(from: &settings)
        try settings.finish()
    }
}
