import Postgres

/// A snapshot of the database that is kept for a while, so that any number of transactions see one state.
///
/// PostgreSQL keeps an exported snapshot while the transaction that exported it lasts. Here that transaction belongs to
/// nobody: its server process sleeps, and its client has gone, so the snapshot outlives every process of the platform.
/// It holds back vacuum for as long; it is ended when it is not needed any more, and by itself after ``seconds``. Who
/// still needs it then has another process import it and keep it for as long again.
struct SnapshotPin: Sendable, Equatable {
    /// How long a process keeps it.
    static let seconds = 600.0

    /// What the server answers to the name of a snapshot that is not there: no file (15, 17), its process has gone.
    private static let lossCodes: Set<String> = ["22023", "42704", "55000"]

    /// Under which it is exported.
    var name: String
    /// As `pg_current_snapshot()` shows it.
    var snapshot: String
    /// The server process that keeps it.
    var pid: Int32
    /// When that process started, as PostgreSQL prints it.
    var started: String

    /// The snapshot cannot be had any more.
    struct Lost: Error {}

    /// Takes a snapshot now, or the one that another pin keeps, on a connection of its own.
    ///
    /// Errors: ``Lost`` when `other` is not kept any more; those of the database, when nothing is left behind.
    static func make(keeping other: SnapshotPin? = nil, _ pool: PostgresPool) async throws -> SnapshotPin {
        let loop = try await pool.withConnection { $0.loop }
        let connection = try await PostgresConnection.connect(pool.configuration, on: loop)
        do {
            try await connection.execute(script: PinSession.script)
            if let other { try await other.adopt(on: connection) }
            guard let pin = try await connection.query(ExportSnapshot()).first else { throw Lost() }
            try await pin.fallAsleep(connection, pool)
            return pin
        } catch {
            await connection.close()
            throw error
        }
    }

    /// Makes the snapshot that of the transaction, which has just begun with level repeatable read.
    ///
    /// The name of a snapshot that was lost in a crash of the server may be another's afterwards, so its content is
    /// compared. Errors: ``Lost``.
    func adopt(on connection: PostgresConnection) async throws {
        do {
            try await connection.query("set transaction snapshot \(literal: name)")
        } catch {
            if Self.lossCodes.contains(error.sqlstate?.code ?? "") { throw Lost() }
            throw error
        }
        guard try await connection.query(CurrentSnapshot()).first == snapshot else { throw Lost() }
    }

    /// Has the process sleep, and leaves it alone. What was sent before the connection is closed is carried out.
    private func fallAsleep(_ connection: PostgresConnection, _ pool: PostgresPool) async throws {
        let sleep: PostgresQuery = "select pg_sleep(\(.float8(Self.seconds)))"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await connection.query(sleep)
                } catch let error as PostgresError where error.code == .closed {
                    return
                }
                throw Lost()
            }
            group.addTask {
                let statement = IsAsleep(pid: pid)
                while try await pool.withConnection({ try await $0.query(statement).first }) != true {
                    try await Task.sleep(for: .milliseconds(5))
                }
                await connection.close()
            }
            while try await group.next() != nil {}
        }
    }
}
