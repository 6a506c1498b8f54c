public import Configuration
public import HTTPServer
public import Platform

/// What the ingest service reads from its environment, besides ``ServiceSettings``, ``HTTPLimits``, ``EdgePolicy``
/// ``TLSFiles`` and ``AccessPolicy``.
///
/// | variable | default | |
/// |---|---|---|
/// | `MILLRACE_LANDING_MAX_BYTES` | `20GiB` | what landing may take on disk before 503 `storage_full` |
/// | `MILLRACE_SOURCE_MAX_LAG` | `10m` | the age of a source's oldest record not yet stored before 429 `lagging` |
/// | `MILLRACE_BODY_MAX_BYTES` | `16GiB` | one body, as it comes and decoded |
/// | `MILLRACE_UPLOAD_MEMORY` | `32MiB` | what the bodies of all large requests hold in memory together |
/// | `MILLRACE_MAX_UPLOADS` | 256 | large requests read at the same time |
/// | `MILLRACE_STREAM_MEMORY` | `32MiB` | what all streams hold in memory together that is not committed yet |
/// | `MILLRACE_MAX_STREAMS` | 1,000 | streams that are open at the same time |
/// | `MILLRACE_LINGER` | `3ms` | how long a small request waits for others while its source is busy |
/// | `MILLRACE_IDEMPOTENCY_RETENTION` | `48h` | how long an `Idempotency-Key` is remembered |
/// | `MILLRACE_RAW_RETENTION` | `7d` | how long raw batches are kept where their source does not say; as store |
public struct IngestConfiguration: Sendable {
    /// Where the service listens unless it is told otherwise.
    public static let defaultPort: UInt16 = 8081

    public var service: ServiceSettings
    public var http: HTTPLimits
    public var edge: EdgePolicy
    public var tls: TLSFiles?
    public var access: AccessPolicy
    public var landingMaxBytes: Int
    public var sourceMaxLag: Duration
    public var bodyMaxBytes: Int
    public var uploadMemory: Int
    public var maxUploads: Int
    public var streamMemory: Int
    public var maxStreams: Int
    public var linger: Duration
    public var idempotencyRetention: Duration
    public var rawRetention: Duration

    public init(_ environment: Environment) throws(ConfigurationError) {
        var settings = Settings(environment)
        service = ServiceSettings(service: "ingest", defaultPort: IngestConfiguration.defaultPort, from: &settings)
        http = HTTPLimits(from: &settings)
        edge = EdgePolicy(from: &settings)
        tls = TLSFiles(from: &settings)
        access = AccessPolicy(from: &settings)
        landingMaxBytes = settings.byteCount("MILLRACE_LANDING_MAX_BYTES", default: 20 << 30, in: (1 << 20)...(1 << 50))
        sourceMaxLag = settings.duration(
            "MILLRACE_SOURCE_MAX_LAG", default: .seconds(600), in: .seconds(1) ... .seconds(86_400 * 7))
        bodyMaxBytes = settings.byteCount("MILLRACE_BODY_MAX_BYTES", default: 16 << 30, in: 1024...(1 << 40))
        uploadMemory = settings.byteCount("MILLRACE_UPLOAD_MEMORY", default: 32 << 20, in: (4 << 20)...(8 << 30))
        maxUploads = settings.integer("MILLRACE_MAX_UPLOADS", default: 256, in: 1...10_000)
        streamMemory = settings.byteCount("MILLRACE_STREAM_MEMORY", default: 32 << 20, in: (4 << 20)...(8 << 30))
        maxStreams = settings.integer("MILLRACE_MAX_STREAMS", default: 1_000, in: 1...10_000)
        linger = settings.duration("MILLRACE_LINGER", default: .milliseconds(3), in: .zero ... .seconds(1))
        idempotencyRetention = settings.duration(
            "MILLRACE_IDEMPOTENCY_RETENTION", default: .seconds(48 * 3600),
            in: .seconds(24 * 3600) ... .seconds(86_400 * 90))
        rawRetention = settings.duration(
            "MILLRACE_RAW_RETENTION", default: .seconds(86_400 * 7), in: .seconds(3600) ... .seconds(86_400 * 3650))
        try settings.finish()
    }
}
