import Postgres

/// Makes columns of a table with rows NOT NULL, so that nobody waits while the rows are looked at.
///
/// ```
/// nothing ─▶ a check, NOT VALID ─▶ the check, valid ─▶ NOT NULL, and no check
/// ```
///
/// The first and the last step are catalog changes, in transactions that hold the dataset's row. In between each
/// partition is scanned under SHARE UPDATE EXCLUSIVE, which neither readers nor loaders wait for. From the first step
/// on the table takes no row without a value: such a record is quarantined as `not_null`. Whoever fails in between
/// takes the check away; who dies, or cannot lock the table, leaves it: a repeated PUT goes on from there, another one
/// takes it away, also one of the definition that the dataset has, and so does maintenance.
struct RequiredColumns: Sendable {
    /// A row lacks a value.
    struct Missing: Error {
        let column: String
    }

    /// How long readers and loaders wait behind an attempt to change the catalog.
    static let lockTimeout = Duration.milliseconds(500)
    /// The same for the last attempt: an autovacuum gives way after PostgreSQL's `deadlock_timeout`, a second.
    static let lastLockTimeout = Duration.seconds(2)
    /// How long who scans waits for others that change the table. Nobody waits behind that.
    static let scanLockTimeout = Duration.seconds(10)

    let schema: String
    let table: String
    let columns: Set<String>

    /// No dataset's name has a dot.
    static func checkName(_ table: String) -> String { table + ".required" }

    /// Looks for rows without a value, and changes nothing. Throws ``Missing``.
    func look(_ connection: PostgresConnection) async throws {
        for column in columns.sorted() {
            let rows = try await connection.query(
                """
                select from \(identifier: schema, table) where \(identifier: column) is null limit 1
                """)
            if rows.rowCount > 0 { throw Missing(column: column) }
        }
    }

    /// Whether the rows have been looked at. Adds the check if there is none, or one of other columns.
    func isChecked(_ connection: PostgresConnection) async throws -> Bool {
        let found = try await connection.query(FindRequiredCheck(schema: schema, table: table)).first
        if let found, found.columns == columns { return found.isValid }
        if found != nil { try await drop(connection) }
        let condition = columns.sorted().map { "\(PostgresQuery.quoted(identifier: $0)) is not null" }
        try await connection.query(
            """
            alter table \(identifier: schema, table) add constraint \(identifier: Self.checkName(table))
            check (\(unsafeText: condition.joined(separator: " and "))) not valid
            """)
        return false
    }

    /// Scans what has not been scanned, each table in a transaction of its own. Throws ``Missing``. A table or check
    /// that is gone meanwhile is left to the next look.
    func scan(_ pool: PostgresPool) async throws {
        let list = ListUnchecked(schema: schema, table: table)
        for name in try await pool.withConnection({ try await $0.query(list) }) {
            do {
                try await pool.withTransaction { connection in
                    let timeout = Self.scanLockTimeout.milliseconds
                    try await connection.query("set local lock_timeout = \(literal: "\(timeout)ms")")
                    try await connection.query(
                        """
                        alter table \(identifier: schema, name)
                        validate constraint \(identifier: Self.checkName(table))
                        """)
                }
            } catch let error as PostgresError where error.sqlstate == .checkViolation {
                try await pool.withConnection { try await self.look($0) }
            } catch let error as PostgresError where error.sqlstate == .undefinedTable || error.sqlstate == "42704" {
            }
        }
    }

    /// Makes the columns NOT NULL, and others nullable; drops the check by which PostgreSQL knows that no row lacks a
    /// value, and one that somebody else has left.
    func alter(nullable: [String], _ connection: PostgresConnection) async throws {
        let actions =
            columns.sorted().map { "alter column \(PostgresQuery.quoted(identifier: $0)) set not null" }
            + nullable.map { "alter column \(PostgresQuery.quoted(identifier: $0)) drop not null" }
        if !actions.isEmpty {
            try await connection.query(
                "alter table \(identifier: schema, table) \(unsafeText: actions.joined(separator: ", "))")
        }
        try await dropIfThere(connection)
    }

    /// Locks the table only where there is a check.
    func dropIfThere(_ connection: PostgresConnection) async throws {
        if try await connection.query(FindRequiredCheck(schema: schema, table: table)).first != nil {
            try await drop(connection)
        }
    }

    func drop(_ connection: PostgresConnection) async throws {
        try await connection.query(
            "alter table \(identifier: schema, table) drop constraint if exists \(identifier: Self.checkName(table))")
    }

    /// Bounds how long the transaction waits for each lock, and so others behind it.
    static func limitWaits(isLast: Bool, _ connection: PostgresConnection) async throws {
        let timeout = (isLast ? lastLockTimeout : lockTimeout).milliseconds
        try await connection.query("set local lock_timeout = \(literal: "\(timeout)ms")")
    }
}
