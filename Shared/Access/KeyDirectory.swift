public import Postgres

/// Where keys are looked up.
public protocol KeyDirectory: Sendable {
    /// The key with this hash, if it is there, not revoked and not expired. Errors are the database's.
    func find(_ hash: KeyHash) async throws -> ValidKey?

    /// The workspace of this name that tokens may be for; nil where there is none.
    func findWorkspace(_ name: String) async throws -> Workspace?

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
    /// What has been used of its quotas; nil for a key that has none.
    public let use: DayUse?
    /// Whether nobody has noted for an hour that it is used.
    let isLongUnused: Bool

    init(
        principal: Principal, hash: KeyHash, validFor: Duration? = nil, use: DayUse? = nil,
        isLongUnused: Bool = false
    ) {
        self.principal = principal
        self.hash = hash
        self.validFor = validFor
        self.use = use
        self.isLongUnused = isLongUnused
    }
}

/// The keys in `millrace.api_key`, and their sessions in `millrace.session`.
public struct StoredKeys: KeyDirectory {
    private let pool: PostgresPool

    public init(_ pool: PostgresPool) {
        self.pool = pool
    }

    public func find(_ hash: KeyHash) async throws -> ValidKey? {
        try await find(FindKey(hash: hash))
    }

    public func findSession(_ hash: KeyHash) async throws -> ValidKey? {
        try await find(FindSession(hash: hash))
    }

    public func findWorkspace(_ name: String) async throws -> Workspace? {
        let found = try await pool.withConnection { try await $0.query(FindWorkspace(name: name)).first }
        return found?.deletedAt == nil ? found : nil
    }

    private func find<S: PostgresStatement>(_ statement: S) async throws -> ValidKey? where S.Row == ValidKey {
        try await pool.withConnection { connection in
            guard let found = try await connection.query(statement).first else { return nil }
            // That it was used is worth noting, and nothing to refuse a key for: the database may be read-only.
            if found.isLongUnused { _ = try? await connection.execute(TouchKey(id: found.principal.keyID)) }
            return found
        }
    }
}
