/// What a key has used of its quotas.
public struct KeyUse: Sendable, Hashable {
    public var requests: Int
    /// Octets of requests' bodies.
    public var bytes: Int

    public init(requests: Int = 0, bytes: Int = 0) {
        self.requests = requests
        self.bytes = bytes
    }

    static func + (left: KeyUse, right: KeyUse) -> KeyUse {
        KeyUse(requests: left.requests + right.requests, bytes: left.bytes + right.bytes)
    }

    static func += (left: inout KeyUse, right: KeyUse) { left = left + right }
}

/// What all processes have used of a key's quotas today, as the database knows it.
public struct DayUse: Sendable, Hashable {
    public var use: KeyUse
    /// How long the day lasts, which ends at midnight UTC.
    public var left: Duration

    public init(_ use: KeyUse, left: Duration) {
        self.use = use
        self.left = left
    }
}
