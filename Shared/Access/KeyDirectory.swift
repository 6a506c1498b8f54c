public import Postgres

/// Where keys are looked up.
public protocol KeyDirectory: Sendable {
    /// The key with this hash, if it is there, not revoked and not expired. Errors are the database's.
    func find(_ hash: KeyHash) async throws -> ValidKey?

    /// The key of the session with this hash, if both are valid: the hash and the time are the session's. Errors are
    /// the database's.
    func findSession(_ hash: KeyHash) async throws -> ValidKey?
}

/// A key that may be used now.
public struct ValidKey: Sendable, Equatable {
    public let principal: Principal
    public let hash: KeyHash
    /// How long it is still valid; nil for one that does not expire.
    public let validFor: Duration?

    public init(principal: Principal, hash: KeyHash, validFor: Duration? = nil) {
        self.principal = principal
        self.hash = hash
        self.validFor = validFor
    }
}

/// The keys in `millrace.api_key`, and their sessions in `millrace.session`.
public struct StoredKeys: KeyDirectory {
    private let pool: PostgresPool

    public init(_ pool: PostgresPool) {
        self.pool = pool
    }

    public func find(_ hash: KeyHash) async throws -> ValidKey? {
        try await pool.withConnection { connection in
            try await connection.query(FindKey(hash: hash)).first
        }
    }

    public func findSession(_ hash: KeyHash) async throws -> ValidKey? {
        try await pool.withConnection { connection in
            try await connection.query(FindSession(hash: hash)).first
        }
    }
}
