public import Postgres

/// A key with the workspace that it is for.
public struct ListedKey: Sendable, Equatable {
    public let record: KeyRecord
    public let workspaceID: Int64
    public let workspace: String

    init(_ row: PostgresRow) throws(PostgresError) {
        record = try KeyRecord(row)
        workspaceID = try row.int8(13)
        workspace = try row.text(14)
    }

    static let columns = """
        \(KeyRecord.columns), workspace_id, (select w.name from millrace.workspace w where w.id = workspace_id)
        """
}

/// A workspace's keys in the order they were made, after the key `after`: of one state, or all.
public struct ListKeys: PostgresStatement {
    public static let sql = """
        select \(ListedKey.columns) from millrace.api_key
        where workspace_id = $1 and id > $2 and ($3::text is null or $3 = \(KeyRecord.stateColumn))
        order by id limit $4
        """

    let workspaceID: Int64
    let after: Int64
    let state: KeyRecord.State?
    let limit: Int32

    public init(workspaceID: Int64, after: Int64 = 0, state: KeyRecord.State? = nil, limit: Int32) {
        self.workspaceID = workspaceID
        self.after = after
        self.state = state
        self.limit = limit
    }

    public var parameters: [PostgresValue] {
        [.int8(workspaceID), .int8(after), .optional(state) { .text($0.rawValue) }, .int4(limit)]
    }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> ListedKey { try ListedKey(row) }
}

/// One key: of a workspace, or of any.
public struct FindListedKey: PostgresStatement {
    public static let sql = """
        select \(ListedKey.columns) from millrace.api_key
        where id = $1 and ($2::int8 is null or workspace_id = $2)
        """

    let id: Int64
    let workspaceID: Int64?

    public init(id: Int64, workspaceID: Int64?) {
        self.id = id
        self.workspaceID = workspaceID
    }

    public var parameters: [PostgresValue] { [.int8(id), .optional(workspaceID) { .int8($0) }] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> ListedKey { try ListedKey(row) }
}

/// The same, and nobody else changes it before the transaction has ended.
public struct LockKey: PostgresStatement {
    public static let sql = FindListedKey.sql + " for no key update"
    let find: FindListedKey

    public init(id: Int64, workspaceID: Int64?) {
        find = FindListedKey(id: id, workspaceID: workspaceID)
    }

    public var parameters: [PostgresValue] { find.parameters }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> ListedKey { try ListedKey(row) }
}

/// The key that makes another one, if it may be used now, and the server's time, in µs since 2000-01-01 UTC. It is not
/// revoked before the transaction has ended.
public struct HoldKey: PostgresStatement {
    public static let sql = """
        select \(KeyRecord.columns), now() from millrace.api_key
        where id = $1 and revoked_at is null and (expires_at is null or expires_at > now()) for share
        """

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> (key: KeyRecord, now: Int64) {
        (try KeyRecord(row), try row.timestamp(13))
    }
}

/// Whether another key administers the workspace of a key for as long as that one would.
public struct FindStandIn: PostgresStatement {
    public static let sql = """
        select exists (
            select from millrace.api_key o
            where o.workspace_id = k.workspace_id and millrace.stands_in(o, k))
        from millrace.api_key k where k.id = $1
        """

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// How many keys of a workspace can be used.
public struct CountKeys: PostgresStatement {
    public static let sql = """
        select count(*) from millrace.api_key
        where workspace_id = $1 and revoked_at is null and (expires_at is null or expires_at > now())
        """

    let workspaceID: Int64

    public init(workspaceID: Int64) {
        self.workspaceID = workspaceID
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Has those wait who lock it too: who revokes keys of a workspace, one after the other.
public struct LockWorkspaceKeys: PostgresStatement {
    public static let sql = "select id from millrace.workspace where id = $1 for no key update"

    let id: Int64

    public init(id: Int64) {
        self.id = id
    }

    public var parameters: [PostgresValue] { [.int8(id)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
