/// How a pool is used at a moment.
public struct PoolLoad: Sendable {
    /// Connections that tasks have.
    public let inUse: Int
    /// Tasks that wait for one.
    public let waiting: Int
    /// Connections that there may be.
    public let connections: Int
    /// Tasks that may wait; further ones are refused.
    public let places: Int
    /// Why the last attempt to connect failed, while the database is away.
    public let lastFailure: PostgresError?

    /// Tasks are being refused.
    public var isExhausted: Bool { waiting >= places }
}
