import JSON

/// What counts for a source: its settings, and the service's own where it has none.
struct SourcePolicy: Sendable, Hashable {
    /// The record bytes of a batch of small requests.
    static let batchBytes = 1 << 20

    var maxLag: Duration
    var maxBodyBytes: Int
    /// Nil where only landing as a whole is limited; as the next two.
    var landingBytes: Int?
    var recordsPerSecond: Int?
    var bytesPerSecond: Int?
    var rawRetention: Duration
    var pace: CoalescingPace

    /// The policy of a source that declares nothing.
    init(_ configuration: IngestConfiguration) {
        maxLag = configuration.sourceMaxLag
        maxBodyBytes = configuration.bodyMaxBytes
        rawRetention = configuration.rawRetention
        pace = CoalescingPace(bytes: Self.batchBytes, linger: configuration.linger)
    }

    /// This policy where the settings say nothing. A body can only be held to less.
    func with(_ settings: SourceSettings) -> SourcePolicy {
        var policy = self
        let limits = settings.limits
        policy.maxLag = limits.maxLag ?? maxLag
        policy.maxBodyBytes = min(limits.maxBodyBytes ?? maxBodyBytes, maxBodyBytes)
        policy.landingBytes = limits.landingBytes ?? landingBytes
        policy.recordsPerSecond = limits.recordsPerSecond ?? recordsPerSecond
        policy.bytesPerSecond = limits.bytesPerSecond ?? bytesPerSecond
        policy.rawRetention = settings.retention.raw ?? rawRetention
        policy.pace.bytes = settings.coalescing.maxBytes ?? pace.bytes
        policy.pace.linger = settings.coalescing.linger ?? pace.linger
        return policy
    }
}

extension SourcePolicy {
    /// The members of `GET /v1/sources/{source}` that a PUT may have.
    var members: [(String, JSONValue)] {
        [
            (
                "limits",
                [
                    "max_lag": .duration(maxLag), "max_body_bytes": .number(maxBodyBytes),
                    "landing_bytes": .optional(landingBytes), "records_per_second": .optional(recordsPerSecond),
                    "bytes_per_second": .optional(bytesPerSecond),
                ]
            ),
            ("retention", ["raw": .duration(rawRetention)]),
            ("coalescing", ["max_bytes": .number(pace.bytes), "linger": .duration(pace.linger)]),
        ]
    }
}
