public import Postgres

/// A tenant.
public struct Workspace: Sendable, Equatable {
    public let id: Int64
    public let name: String
    /// The schema of its datasets.
    public let schema: String
    /// The login role that its users' queries run as.
    public let queryRole: String
    /// Microseconds since 2000-01-01 UTC, as the other times.
    public let createdAt: Int64
    public let version: Int32
    public let description: String?
    public let updatedAt: Int64
    /// When its deletion began; nil for one that is in use.
    public let deletedAt: Int64?

    static let columns: StaticString = """
        id, name, schema_name, query_role, created_at, version, description, updated_at, deleted_at
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        schema = try row.text(2)
        queryRole = try row.text(3)
        createdAt = try row.timestamp(4)
        version = try row.int4(5)
        description = try row.optionalText(6)
        updatedAt = try row.timestamp(7)
        deletedAt = try row.optionalTimestamp(8)
    }

    /// Whether a workspace may have this name: `^[a-z][a-z0-9_]{0,39}$`.
    public static func isName(_ text: String) -> Bool {
        guard (1...40).contains(text.utf8.count), let first = text.utf8.first else { return false }
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        return letters.contains(first)
            && text.utf8.allSatisfy { letters.contains($0) || digits.contains($0) || $0 == UInt8(ascii: "_") }
    }
}

/// Enters a workspace; no row when the name is taken. Its schema and role are made by whoever enters it.
public struct InsertWorkspace: PostgresStatement {
    public static let sql = """
        insert into millrace.workspace (name, schema_name, query_role)
        values ($1, 'ws_' || $1, 'millrace_ws_' || $1)
        on conflict (name) do nothing
        returning \(Workspace.columns)
        """

    let name: String

    public init(name: String) {
        self.name = name
    }

    public var parameters: [PostgresValue] { [.text(name)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}

public struct FindWorkspace: PostgresStatement {
    public static let sql = "select \(Workspace.columns) from millrace.workspace where name = $1"

    let name: String

    public init(name: String) {
        self.name = name
    }

    public var parameters: [PostgresValue] { [.text(name)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}

/// Workspaces in the order they were made, after the one with the id `after`.
public struct ListWorkspaces: PostgresStatement {
    public static let sql = """
        select \(Workspace.columns) from millrace.workspace where id > $1 order by id limit $2
        """

    let after: Int64
    let limit: Int32

    public init(after: Int64 = 0, limit: Int32) {
        self.after = after
        self.limit = limit
    }

    public var parameters: [PostgresValue] { [.int8(after), .int4(limit)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Workspace { try Workspace(row) }
}
