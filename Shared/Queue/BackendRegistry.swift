import Postgres
import Synchronization

/// The server processes that a worker has recorded in `queue.backend`, so that rescue can end them.
///
/// Each connection is recorded once, in a transaction of its own before its first work.
final class BackendRegistry: Sendable {
    /// Held weakly, so that a new connection at an old one's address is not taken for it.
    private struct Entry {
        weak var connection: PostgresConnection?
        let pid: Int32
    }

    let worker: Int64
    private let entries = Mutex<[ObjectIdentifier: Entry]>([:])

    init(worker: Int64) {
        self.worker = worker
    }

    /// Records the connection's server process and returns its pid.
    /// Errors: `.leaseLost` when the worker was declared lost.
    func record(_ connection: PostgresConnection) async throws -> Int32 {
        if let pid = pid(of: connection) { return pid }
        let isAlive = try await connection.query(RegisterBackendStatement(worker: worker)).first ?? false
        guard isAlive else { throw QueueError(.leaseLost, "the worker was declared lost", doing: "record") }
        let pid = await connection.backendPID
        entries.withLock { entries in
            entries = entries.filter { $0.value.connection != nil }
            entries[ObjectIdentifier(connection)] = Entry(connection: connection, pid: pid)
        }
        return pid
    }

    private func pid(of connection: PostgresConnection) -> Int32? {
        entries.withLock { entries in
            guard let entry = entries[ObjectIdentifier(connection)], entry.connection != nil else { return nil }
            return entry.pid
        }
    }
}
