import Postgres

/// A key by its hash, if it may be used now.
struct FindKey: PostgresStatement {
    static let sql = """
        select k.id, k.hash, k.scopes, w.id, w.name, extract(epoch from k.expires_at - now())::float8,
            \(Self.usedColumns)
        from millrace.api_key k join millrace.workspace w on w.id = k.workspace_id
            left join millrace.key_use u on u.key_id = k.id and u.day = (now() at time zone 'UTC')::date
        where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
            and w.deleted_at is null
        """

    /// A key's limits, when it was used last, and what is used of them; over `api_key k` and `key_use u`.
    static let usedColumns = """
        k.limits, coalesce(k.last_used_at < now() - interval '1 hour', true), coalesce(u.requests, 0),
        coalesce(u.bytes, 0), \(DayUse.secondsLeft)
        """

    let hash: KeyHash

    var parameters: [PostgresValue] { [.bytes(hash.bytes)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ValidKey {
        let limits = KeyLimits(stored: try row.json(6))
        guard let hash = KeyHash(stored: try row.bytes(1)) else {
            throw PostgresError(.decode, "a key's hash has not 32 bytes", doing: "decode")
        }
        return ValidKey(
            principal: Principal(
                workspaceID: try row.int8(3), workspace: try row.text(4), keyID: try row.int8(0),
                scopes: ScopeSet(try row.textArray(2)), limits: limits),
            hash: hash, validFor: try row.optionalFloat8(5).map { .seconds($0) },
            use: limits.hasQuota ? try DayUse(row, at: 8) : nil, isLongUnused: try row.bool(7))
    }
}

/// A key as it is listed: everything but the key.
public struct KeyRecord: Sendable, Equatable {
    public let id: Int64
    public let name: String
    /// The key's first characters.
    public let prefix: String
    public let scopes: [String]
    /// Microseconds since 2000-01-01 UTC, as the other times.
    public let createdAt: Int64
    public let expiresAt: Int64?
    public let revokedAt: Int64?
    public let version: Int32
    public let limits: KeyLimits
    /// The key whose place it has taken.
    public let replaces: Int64?
    /// The key that asked for it; nil for the configured one, and for what was made before that was noted.
    public let madeBy: Int64?
    /// Whether it could be used when it was read.
    public let state: State
    /// When it was used last, to the hour; nil where it never was.
    public let lastUsedAt: Int64?

    public enum State: String, Sendable, CaseIterable {
        case active, expired, revoked
    }

    static let stateColumn = """
        case when revoked_at is not null then 'revoked' when expires_at <= now() then 'expired' else 'active' end
        """
    static let columns = """
        id, name, prefix, scopes, created_at, expires_at, revoked_at, version, limits, replaces, made_by,
        \(stateColumn), last_used_at
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        prefix = try row.text(2)
        scopes = try row.textArray(3)
        createdAt = try row.timestamp(4)
        expiresAt = try row.optionalTimestamp(5)
        revokedAt = try row.optionalTimestamp(6)
        version = try row.int4(7)
        limits = KeyLimits(stored: try row.json(8))
        replaces = try row.optionalInt8(9)
        madeBy = try row.optionalInt8(10)
        state = State(rawValue: try row.text(11)) ?? .revoked
        lastUsedAt = try row.optionalTimestamp(12)
    }
}
