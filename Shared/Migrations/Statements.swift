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

/// From here to the transaction's end no statement waits for a lock for longer.
struct LimitLockWaits: PostgresStatement {
    let limit: Duration

    static let sql = "SELECT set_config('lock_timeout', $1, true)"
    var parameters: [PostgresValue] {
        // 0 would be no limit.
        [.text("\(max(1, Int(limit / .milliseconds(1))))ms")]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// A session that has locks on tables of the platform, as it is told to whoever waits for one.
struct LockHolder: Sendable, CustomStringConvertible {
    /// 0 for a prepared transaction.
    let pid: Int32
    /// What it calls itself; empty where the server does not say that.
    let application: String
    /// Since when its transaction has been open; nil where the server does not say that.
    let seconds: Double?
    let tables: Int
    /// The first of the tables.
    let table: String

    var description: String {
        let name = application.isEmpty ? "" : " (\(application))"
        let age = seconds.map { " for \(Int($0)) s" } ?? ""
        return "pid \(pid)\(name)\(age): \(table)" + (tables > 1 ? " and \(tables - 1) more" : "")
    }
}

/// Who has locks on tables of the platform now, the longest transactions first.
struct FindLockHolders: PostgresStatement {
    static let sql = """
        SELECT coalesce(l.pid, 0), coalesce(a.application_name, ''),
            extract(epoch FROM clock_timestamp() - a.xact_start)::float8, count(DISTINCT c.oid),
            min(n.nspname || '.' || c.relname)
        FROM pg_catalog.pg_locks l
        JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p')
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
            AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())
            AND (n.nspname IN ('millrace', 'queue', 'landing', 'rollups') OR n.nspname LIKE 'ws\\_%')
        GROUP BY l.pid, a.application_name, a.xact_start
        ORDER BY a.xact_start NULLS LAST LIMIT 3
        """

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LockHolder {
        LockHolder(
            pid: try row.int4(0), application: try row.text(1), seconds: try row.optionalFloat8(2),
            tables: try row.int(3), table: try row.text(4))
    }
}
