import Postgres
import Synchronization

/// The keys under which `mask` hashes: one a workspace, the same for all its pipelines, versions and processes. They
/// are in the database alone, and no answer, error or log shows them.
final class WorkspaceSalts: Sendable {
    static let capacity = 1_000

    private let pool: PostgresPool
    private let known = Mutex<[Int64: [UInt8]]>([:])

    init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The workspace's salt, which is made if there is none.
    func salt(of workspaceID: Int64) async throws -> [UInt8] {
        if let salt = known.withLock({ $0[workspaceID] }) { return salt }
        let statement = EnsureMaskSalt(workspaceID: workspaceID)
        let found = try await pool.withConnection { connection in
            // Whoever loses the race to make it does not see the winner's in the same statement.
            if let salt = try await connection.query(statement).first { return salt as [UInt8]? }
            return try await connection.query(statement).first
        }
        guard let salt = found else {
            throw PostgresError(.decode, "the workspace has no salt", doing: "find a workspace's salt")
        }
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll() }
            known[workspaceID] = salt
        }
        return salt
    }
}

/// The workspace's salt, made if there is none. No row where another session makes it in the same moment.
struct EnsureMaskSalt: PostgresStatement {
    static let sql = """
        with made as (
            insert into millrace.mask_salt (workspace_id) values ($1) on conflict do nothing returning salt
        )
        select salt from millrace.mask_salt where workspace_id = $1
        union all
        select salt from made
        """
    var workspaceID: Int64

    var parameters: [PostgresValue] { [.int8(workspaceID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] { try row.bytes(0) }
}
