import Catalog
import Postgres
import Synchronization

/// Sources by name, made by their first record, remembered for a few seconds.
final class SourceDirectory: Sendable {
    private struct Name: Hashable {
        var workspaceID: Int64
        var name: String
    }

    private struct Entry {
        var source: Source
        var until: ContinuousClock.Instant
    }

    /// How long a change of a source's settings may take to be seen here.
    static let retention = Duration.seconds(5)
    static let capacity = 10_000

    private let pool: PostgresPool
    private let entries = Mutex<[Name: Entry]>([:])

    init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The source, made if there is none.
    nonisolated(nonsending) func source(_ name: ResourceName, workspaceID: Int64) async throws -> Source {
        let key = Name(workspaceID: workspaceID, name: name.text)
        let now = ContinuousClock.now
        if let entry = entries.withLock({ $0[key] }), entry.until > now { return entry.source }
        let source = try await pool.withConnection { connection -> Source? in
            let find = FindSource(workspaceID: workspaceID, name: name.text)
            if let source = try await connection.query(find).first { return source }
            _ = try await connection.query(EnsureSource(workspaceID: workspaceID, name: name.text))
            return try await connection.query(find).first
        }
        guard let source else { throw TooBusy(reason: "the source was removed while it was being made") }
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries = entries.filter { $0.value.until > now } }
            if entries.count >= Self.capacity { entries.removeAll() }
            entries[key] = Entry(source: source, until: now + Self.retention)
        }
        return source
    }

    /// Forgets a source, whose settings have just been changed here.
    func forget(_ name: ResourceName, workspaceID: Int64) {
        entries.withLock { $0[Name(workspaceID: workspaceID, name: name.text)] = nil }
    }
}
