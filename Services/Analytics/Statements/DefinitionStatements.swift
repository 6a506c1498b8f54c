import Postgres

struct FindDefinition<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String {
        "select \(Stored.columns) from millrace.\(Stored.table) x where x.workspace_id = $1 and x.name = $2"
    }
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Stored { try Stored(row) }
}

/// The same, locked until the transaction ends.
struct LockDefinition<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String { FindDefinition<Stored>.sql + " for update" }
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Stored { try Stored(row) }
}

/// A page of a workspace's definitions, by name.
struct ListDefinitions<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String {
        """
        select \(Stored.columns) from millrace.\(Stored.table) x
        where x.workspace_id = $1 and x.name > $2 order by x.name limit $3
        """
    }
    var workspaceID: Int64
    var after: String
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(after), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Stored { try Stored(row) }
}

/// Makes a definition and gives its id; no row where there is one of the name, or as many as there may be.
struct InsertDefinition<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String {
        let names = Stored.written.map { ", \($0)" }.joined()
        let values = Stored.written.indices.map { ", $\($0 + 5)" }.joined()
        return """
            insert into millrace.\(Stored.table) (workspace_id, name, definition\(names)) select $1, $2, $3\(values)
            where (select count(*) from millrace.\(Stored.table) where workspace_id = $1) < $4
            on conflict do nothing returning id
            """
    }
    var workspaceID: Int64
    var name: String
    var definition: [UInt8]
    var values: [PostgresValue]

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .text(name), .json(definition), .int(Stored.maximumCount)] + values
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Gives a locked definition its next version.
struct ReplaceDefinition<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String {
        let values = Stored.written.enumerated().map { ", \($1) = $\($0 + 3)" }.joined()
        return """
            update millrace.\(Stored.table)
            set version = version + 1, definition = $2, updated_at = now()\(values) where id = $1
            """
    }
    var id: Int64
    var definition: [UInt8]
    var values: [PostgresValue]

    var parameters: [PostgresValue] { [.int8(id), .json(definition)] + values }
}

/// Deletes a locked definition.
struct DeleteDefinition<Stored: StoredDefinition>: PostgresStatement {
    static var sql: String { "delete from millrace.\(Stored.table) where id = $1" }
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}
