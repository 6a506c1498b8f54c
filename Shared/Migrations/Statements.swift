import Postgres

/// Waits for other runners.
struct LockMigrations: PostgresStatement {
    static let sql = "SELECT FROM millrace.migration_lock FOR UPDATE"
}

struct AppliedNames: PostgresStatement {
    static let sql = "SELECT name FROM millrace.migration ORDER BY name"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String {
        try row.text(0)
    }
}

struct AppliedChecksum: PostgresStatement {
    let name: String

    static let sql = "SELECT checksum FROM millrace.migration WHERE name = $1"
    var parameters: [PostgresValue] { [.text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] {
        try row.bytes(0)
    }
}

struct RecordMigration: PostgresStatement {
    let migration: Migration

    static let sql = "INSERT INTO millrace.migration (name, checksum) VALUES ($1, $2)"
    var parameters: [PostgresValue] { [.text(migration.name), .bytes(migration.checksum)] }
}
