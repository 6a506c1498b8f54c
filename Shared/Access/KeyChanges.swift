import JSON
public import Postgres

/// What a key is made as.
public struct NewKey: Sendable {
    public var workspaceID: Int64
    public var name: String
    public var scopes: [String]
    public var limits: KeyLimits
    /// When it ends, in microseconds since 2000-01-01 UTC; nil: never.
    public var expiresAt: Int64?
    /// The key whose place it takes.
    public var replaces: Int64?
    public var madeBy: Int64?
    /// The request's `Idempotency-Key`, and the SHA-256 of what it asked for.
    public var request: (key: String, fingerprint: [UInt8])?

    public init(
        workspaceID: Int64, name: String, scopes: [String], limits: KeyLimits = .none, expiresAt: Int64? = nil,
        replaces: Int64? = nil, madeBy: Int64? = nil, request: (key: String, fingerprint: [UInt8])? = nil
    ) {
        self.workspaceID = workspaceID
        self.name = name
        self.scopes = scopes
        self.limits = limits
        self.expiresAt = expiresAt
        self.replaces = replaces
        self.madeBy = madeBy
        self.request = request
    }
}

/// Stores a new key's hash. No row where the workspace has a key that was made by the same request.
public struct InsertKey: PostgresStatement {
    public static let sql = """
        insert into millrace.api_key (workspace_id, name, prefix, hash, scopes, limits, expires_at, replaces, made_by,
            request_key, request_fingerprint)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict (workspace_id, request_key) where request_key is not null do nothing
        returning \(KeyRecord.columns)
        """

    let key: APIKey
    let new: NewKey

    public init(_ key: APIKey, as new: NewKey) {
        self.key = key
        self.new = new
    }

    public var parameters: [PostgresValue] {
        [
            .int8(new.workspaceID), .text(new.name), .text(key.visiblePrefix), .bytes(key.hash.bytes),
            .textArray(new.scopes), .json(new.limits.json.serialized()),
            .optional(new.expiresAt) { .timestamp(microsSince2000: $0) }, .optional(new.replaces) { .int8($0) },
            .optional(new.madeBy) { .int8($0) }, .optional(new.request?.key) { .text($0) },
            .optional(new.request?.fingerprint) { .bytes($0) },
        ]
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> KeyRecord { try KeyRecord(row) }
}

/// The key that a request with this `Idempotency-Key` has made, and the fingerprint of what that asked for.
public struct FindKeyOfRequest: PostgresStatement {
    public static let sql = """
        select \(KeyRecord.columns), request_fingerprint from millrace.api_key
        where workspace_id = $1 and request_key = $2
        """

    let workspaceID: Int64
    let request: String

    public init(workspaceID: Int64, request: String) {
        self.workspaceID = workspaceID
        self.request = request
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .text(request)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> (key: KeyRecord, fingerprint: [UInt8]) {
        (try KeyRecord(row), try row.bytes(13))
    }
}

/// Ends a locked key now; one that is revoked already keeps its time. Its sessions go with it.
public struct RevokeKey: PostgresStatement {
    public static let sql = """
        with ended as (delete from millrace.session where key_id = $1)
        update millrace.api_key set revoked_at = now(), version = version + 1
        where id = $1 and revoked_at is null
        """

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }
}

/// Lets a locked key run out after `grace`, if it would not sooner: the old one's part of a rotation.
public struct RetireKey: PostgresStatement {
    public static let sql = """
        update millrace.api_key set expires_at = least(expires_at, now() + $2::interval), version = version + 1
        where id = $1 and revoked_at is null
        """

    let id: Int64
    let grace: Duration

    public init(id: Int64, grace: Duration) {
        self.id = id
        self.grace = grace
    }

    public var parameters: [PostgresValue] { [.int8(id), .interval(grace)] }
}
