import Postgres

/// An endpoint as `/v1/endpoints` shows it. Times are µs since 2000-01-01 UTC.
struct StoredEndpoint: Sendable {
    var id: Int64
    var name: String
    var version: Int32
    /// As `EndpointDefinition.json` writes it.
    var definition: [UInt8]
    /// As `EndpointColumns.json` writes them.
    var columns: [UInt8]
    var createdAt: Int64
    var updatedAt: Int64

    static let list = "id, name, version, definition, columns, created_at, updated_at"

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        definition = try row.json(3)
        columns = try row.json(4)
        createdAt = try row.timestamp(5)
        updatedAt = try row.timestamp(6)
    }
}

struct FindEndpoint: PostgresStatement {
    static let sql = "select \(StoredEndpoint.list) from millrace.endpoint where workspace_id = $1 and name = $2"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredEndpoint { try StoredEndpoint(row) }
}

/// The same, locked until the transaction ends.
struct LockEndpoint: PostgresStatement {
    static let sql = FindEndpoint.sql + " for update"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredEndpoint { try StoredEndpoint(row) }
}

/// A page of a workspace's endpoints, by name.
struct ListEndpoints: PostgresStatement {
    static let sql = """
        select \(StoredEndpoint.list) from millrace.endpoint
        where workspace_id = $1 and name > $2 order by name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredEndpoint { try StoredEndpoint(row) }
}

/// Makes an endpoint; no row where there is one of the name, or as many as there may be.
struct InsertEndpoint: PostgresStatement {
    static let sql = """
        insert into millrace.endpoint (workspace_id, name, definition, columns)
        select $1, $2, $3, $4
        where (select count(*) from millrace.endpoint where workspace_id = $1) < $5
        on conflict do nothing returning \(StoredEndpoint.list)
        """
    var workspaceID: Int64
    var name: String
    var definition: [UInt8]
    var columns: [UInt8]
    var maximum: Int

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .text(name), .json(definition), .json(columns), .int(maximum)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredEndpoint { try StoredEndpoint(row) }
}

/// Gives a locked endpoint its next version.
struct ReplaceEndpoint: PostgresStatement {
    static let sql = """
        update millrace.endpoint set version = version + 1, definition = $2, columns = $3, updated_at = now()
        where id = $1 returning \(StoredEndpoint.list)
        """
    var id: Int64
    var definition: [UInt8]
    var columns: [UInt8]

    var parameters: [PostgresValue] { [.int8(id), .json(definition), .json(columns)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredEndpoint { try StoredEndpoint(row) }
}

/// Deletes a locked endpoint.
struct DeleteEndpoint: PostgresStatement {
    static let sql = "delete from millrace.endpoint where id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}
