public import Postgres

/// A key by its hash, if it may be used now.
struct FindKey: PostgresStatement {
    static let sql = """
        select k.id, k.hash, k.scopes, w.id, w.name, extract(epoch from k.expires_at - now())::float8
        from millrace.api_key k join millrace.workspace w on w.id = k.workspace_id
        where k.hash = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        """

    let hash: KeyHash

    var parameters: [PostgresValue] { [.bytes(hash.bytes)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ValidKey {
        guard let hash = KeyHash(stored: try row.bytes(1)) else {
            throw PostgresError(.decode, "a key's hash has not 32 bytes", doing: "decode")
        }
        return ValidKey(
            principal: Principal(
                workspaceID: try row.int8(3), workspace: try row.text(4), keyID: try row.int8(0),
                scopes: ScopeSet(try row.textArray(2))),
            hash: hash, validFor: try row.optionalFloat8(5).map { .seconds($0) })
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

    static let columns: StaticString = "id, name, prefix, scopes, created_at, expires_at, revoked_at"

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        prefix = try row.text(2)
        scopes = try row.textArray(3)
        createdAt = try row.timestamp(4)
        expiresAt = try row.optionalTimestamp(5)
        revokedAt = try row.optionalTimestamp(6)
    }
}

/// Stores a new key's hash.
public struct InsertKey: PostgresStatement {
    public static let sql = """
        insert into millrace.api_key (workspace_id, name, prefix, hash, scopes, expires_at)
        values ($1, $2, $3, $4, $5, now() + $6::interval)
        returning \(KeyRecord.columns)
        """

    let workspaceID: Int64
    let name: String
    let key: APIKey
    let scopes: [String]
    let lifetime: Duration?

    /// `lifetime` is how long it will be valid; nil for good.
    public init(workspaceID: Int64, name: String, key: APIKey, scopes: [String], lifetime: Duration?) {
        self.workspaceID = workspaceID
        self.name = name
        self.key = key
        self.scopes = scopes
        self.lifetime = lifetime
    }

    public var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .text(name), .text(key.visiblePrefix), .bytes(key.hash.bytes), .textArray(scopes),
            .optional(lifetime) { .interval($0) },
        ]
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}

/// A workspace's keys in the order they were made, revoked ones too, after the key `after`.
public struct ListKeys: PostgresStatement {
    public static let sql = """
        select \(KeyRecord.columns) from millrace.api_key where workspace_id = $1 and id > $2 order by id limit $3
        """

    let workspaceID: Int64
    let after: Int64
    let limit: Int

    public init(workspaceID: Int64, after: Int64 = 0, limit: Int) {
        self.workspaceID = workspaceID
        self.after = after
        self.limit = limit
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .int8(after), .int(limit)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}

/// One key of a workspace.
public struct ReadKey: PostgresStatement {
    public static let sql = "select \(KeyRecord.columns) from millrace.api_key where workspace_id = $1 and id = $2"

    let workspaceID: Int64
    let id: Int64

    public init(workspaceID: Int64, id: Int64) {
        self.workspaceID = workspaceID
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}

/// Ends a key now; one that is revoked already keeps its time. No row when the workspace has no such key.
public struct RevokeKey: PostgresStatement {
    public static let sql = """
        update millrace.api_key set revoked_at = coalesce(revoked_at, now())
        where workspace_id = $1 and id = $2
        returning \(KeyRecord.columns)
        """

    let workspaceID: Int64
    let id: Int64

    public init(workspaceID: Int64, id: Int64) {
        self.workspaceID = workspaceID
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}

/// Lets a key run out after `grace`, if it would not sooner: the old one's part of a rotation.
public struct RetireKey: PostgresStatement {
    public static let sql = """
        update millrace.api_key set expires_at = least(expires_at, now() + $3::interval)
        where workspace_id = $1 and id = $2 and revoked_at is null
        returning \(KeyRecord.columns)
        """

    let workspaceID: Int64
    let id: Int64
    let grace: Duration

    public init(workspaceID: Int64, id: Int64, grace: Duration) {
        self.workspaceID = workspaceID
        self.id = id
        self.grace = grace
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id), .interval(grace)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}
