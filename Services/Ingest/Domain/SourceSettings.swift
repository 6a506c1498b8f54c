import JSON

/// What was declared of a source by PUT. What is nil was not said: the service's own setting counts, see
/// ``SourcePolicy``.
struct SourceSettings: Sendable, Hashable {
    /// What a source may send.
    struct Limits: Sendable, Hashable {
        /// The age of the oldest record that is not stored yet, past which no more is taken.
        var maxLag: Duration?
        /// One body, as it comes and decoded.
        var maxBodyBytes: Int?
        /// Raw bytes that may wait to be stored.
        var landingBytes: Int?
        var recordsPerSecond: Int?
        /// Of decoded bodies.
        var bytesPerSecond: Int?
    }

    struct Retention: Sendable, Hashable {
        /// How long raw batches are kept.
        var raw: Duration?
    }

    /// How small requests share a batch.
    struct Coalescing: Sendable, Hashable {
        /// Record bytes at which a batch is full.
        var maxBytes: Int?
        /// How long a request may wait for others while its source is busy.
        var linger: Duration?
    }

    var limits = Limits()
    var retention = Retention()
    var coalescing = Coalescing()
}

extension SourceSettings {
    /// Canonical: nothing but what was said, so that equal settings are equal JSON.
    var json: JSONValue {
        let parts: [(String, [(String, JSONValue?)])] = [
            (
                "limits",
                [
                    ("max_lag", limits.maxLag.map(JSONValue.duration)),
                    ("max_body_bytes", limits.maxBodyBytes.map(JSONValue.number)),
                    ("landing_bytes", limits.landingBytes.map(JSONValue.number)),
                    ("records_per_second", limits.recordsPerSecond.map(JSONValue.number)),
                    ("bytes_per_second", limits.bytesPerSecond.map(JSONValue.number)),
                ]
            ),
            ("retention", [("raw", retention.raw.map(JSONValue.duration))]),
            (
                "coalescing",
                [
                    ("max_bytes", coalescing.maxBytes.map(JSONValue.number)),
                    ("linger", coalescing.linger.map(JSONValue.duration)),
                ]
            ),
        ]
        var object = JSONObject()
        for (name, members) in parts {
            let said = JSONObject(members.compactMap { member in member.1.map { (member.0, $0) } })
            if !said.isEmpty { object[name] = .object(said) }
        }
        return .object(object)
    }
}

extension JSONValue {
    /// As requests write it: `5m`.
    static func duration(_ duration: Duration) -> JSONValue { .string(DurationText.format(duration)) }
}
