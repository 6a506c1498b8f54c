import Postgres

/// A dashboard as `/v1/dashboards` shows it. Times are µs since 2000-01-01 UTC.
struct StoredDashboard: Sendable {
    var id: Int64
    var name: String
    var version: Int32
    /// As `DashboardDefinition.json` writes it.
    var definition: [UInt8]
    var createdAt: Int64
    var updatedAt: Int64

    static let list = "id, name, version, definition, created_at, updated_at"

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        definition = try row.json(3)
        createdAt = try row.timestamp(4)
        updatedAt = try row.timestamp(5)
    }
}

struct FindDashboard: PostgresStatement {
    static let sql = "select \(StoredDashboard.list) from millrace.dashboard where workspace_id = $1 and name = $2"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDashboard { try StoredDashboard(row) }
}

/// The same, locked until the transaction ends.
struct LockDashboard: PostgresStatement {
    static let sql = FindDashboard.sql + " for update"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDashboard { try StoredDashboard(row) }
}

/// A page of a workspace's dashboards, by name.
struct ListDashboards: PostgresStatement {
    static let sql = """
        select \(StoredDashboard.list) from millrace.dashboard
        where workspace_id = $1 and name > $2 order by name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDashboard { try StoredDashboard(row) }
}

/// Makes a dashboard; no row where there is one of the name, or as many as there may be.
struct InsertDashboard: PostgresStatement {
    static let sql = """
        insert into millrace.dashboard (workspace_id, name, definition)
        select $1, $2, $3
        where (select count(*) from millrace.dashboard where workspace_id = $1) < $4
        on conflict do nothing returning \(StoredDashboard.list)
        """
    var workspaceID: Int64
    var name: String
    var definition: [UInt8]
    var maximum: Int

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name), .json(definition), .int(maximum)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDashboard { try StoredDashboard(row) }
}

/// Gives a locked dashboard its next version.
struct ReplaceDashboard: PostgresStatement {
    static let sql = """
        update millrace.dashboard set version = version + 1, definition = $2, updated_at = now()
        where id = $1 returning \(StoredDashboard.list)
        """
    var id: Int64
    var definition: [UInt8]

    var parameters: [PostgresValue] { [.int8(id), .json(definition)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredDashboard { try StoredDashboard(row) }
}

/// Deletes a locked dashboard.
struct DeleteDashboard: PostgresStatement {
    static let sql = "delete from millrace.dashboard where id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}
