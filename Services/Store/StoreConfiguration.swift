public import Configuration
public import HTTPServer
public import Migrations
public import Platform
public import Queue

/// What the store service reads from its environment, besides ``ServiceSettings``, ``HTTPLimits``, ``EdgePolicy``,
/// ``TLSFiles``, ``AccessPolicy`` and ``LeaderConfiguration``.
///
/// | variable | default | |
/// |---|---|---|
/// | `MILLRACE_LOAD_SLOTS` | 2 | groups of chunks loaded at the same time |
/// | `MILLRACE_LOAD_BYTES` | `16MiB` | bytes of one group, before compression: what a slot holds in memory |
/// | `MILLRACE_UPLOAD_PATIENCE` | `1h` | how long an upload may stand still before its batches are swept |
/// | `MILLRACE_IDEMPOTENCY_RETENTION` | `48h` | how long an `Idempotency-Key` is remembered; as ingest has it |
/// | `MILLRACE_STREAM_RETENTION` | `7d` | how long a stream is remembered that nobody uses |
/// | `MILLRACE_RAW_RETENTION` | `7d` | how long raw batches are kept where their source does not say; as ingest |
/// | `MILLRACE_DELETION_RETENTION` | `30d` | how long a dataset remembers that `delete_when` deleted a key |
/// | `MILLRACE_QUARANTINE_RETENTION` | `30d` | how long quarantined records and dead letters' batches are kept |
public struct StoreConfiguration: Sendable {
    /// Where the service listens unless it is told otherwise.
    public static let defaultPort: UInt16 = 8083

    public var service: ServiceSettings
    public var http: HTTPLimits
    public var edge: EdgePolicy
    public var tls: TLSFiles?
    public var access: AccessPolicy
    public var loadSlots: Int
    public var loadBytes: Int
    public var uploadPatience: Duration
    public var idempotencyRetention: Duration
    public var streamRetention: Duration
    public var rawRetention: Duration
    public var deletionRetention: Duration
    public var quarantineRetention: Duration
    public var leader: LeaderConfiguration

    public init(_ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        service = ServiceSettings(service: "store", defaultPort: StoreConfiguration.defaultPort, from: &settings)
        http = HTTPLimits(from: &settings)
        edge = EdgePolicy(from: &settings)
        tls = TLSFiles(from: &settings)
        access = AccessPolicy(from: &settings)
        loadSlots = settings.integer("MILLRACE_LOAD_SLOTS", default: 2, in: 1...64)
        loadBytes = settings.byteCount("MILLRACE_LOAD_BYTES", default: 16 << 20, in: (1 << 20)...(1 << 30))
        uploadPatience = settings.duration(
            "MILLRACE_UPLOAD_PATIENCE", default: .seconds(3600), in: .seconds(120) ... .seconds(86_400 * 7))
        idempotencyRetention = settings.duration(
            "MILLRACE_IDEMPOTENCY_RETENTION", default: .seconds(48 * 3600),
            in: .seconds(24 * 3600) ... .seconds(86_400 * 90))
        streamRetention = settings.duration(
            "MILLRACE_STREAM_RETENTION", default: .seconds(86_400 * 7),
            in: .seconds(86_400) ... .seconds(86_400 * 3650))
        rawRetention = settings.duration(
            "MILLRACE_RAW_RETENTION", default: .seconds(86_400 * 7), in: .seconds(3600) ... .seconds(86_400 * 3650))
        deletionRetention = settings.duration(
            "MILLRACE_DELETION_RETENTION", default: .seconds(86_400 * 30),
            in: .seconds(3600) ... .seconds(86_400 * 3650))
        quarantineRetention = settings.duration(
            "MILLRACE_QUARANTINE_RETENTION", default: .seconds(86_400 * 30),
            in: .seconds(3600) ... .seconds(86_400 * 3650))
        leader = LeaderConfiguration(from: &settings)
        try settings.finish()
    }
}

/// What `millrace-store migrate` reads from its environment.
///
/// | variable | default | |
/// |---|---|---|
/// | `DATABASE_URL`, `DATABASE_URL_FILE` | required | of the services' role |
/// | `MILLRACE_ADMIN_KEY`, `MILLRACE_ADMIN_KEY_FILE` | | the administrator's key of the first workspace |
/// | `MILLRACE_MIGRATE_PATIENCE` | `30s` | how long to wait for a database that is away |
/// | `MILLRACE_MIGRATE_LOCK_TIMEOUT` | `3s` | how long a statement waits for a lock; others stand behind it meanwhile |
/// | `MILLRACE_MIGRATE_LOCK_PATIENCE` | `1h` | how long a file is tried again whose locks others hold |
public struct MigrateConfiguration: Sendable {
    public var service: ServiceSettings
    public var adminKey: Secret?
    public var patience: Duration
    public var locks = LockPatience()

    public init(_ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        service = ServiceSettings(service: "store", defaultPort: StoreConfiguration.defaultPort, from: &settings)
        adminKey = settings.optionalSecret("MILLRACE_ADMIN_KEY")
        patience = settings.duration("MILLRACE_MIGRATE_PATIENCE", default: .seconds(30), in: .zero ... .seconds(3600))
        locks.lockTimeout = settings.duration(
            "MILLRACE_MIGRATE_LOCK_TIMEOUT", default: locks.lockTimeout, in: .milliseconds(10) ... .seconds(60))
        locks.total = settings.duration(
            "MILLRACE_MIGRATE_LOCK_PATIENCE", default: locks.total, in: .zero ... .seconds(86_400))
        try settings.finish()
    }
}
