import Catalog
import Postgres
import Synchronization

/// Sources by name, made by their first record, remembered for a few seconds.
final class SourceDirectory: Sendable {
    private struct Name: Hashable {
        var workspaceID: Int64
        var name: String
    }

    /// A source, and what counts for it.
    struct Known: Sendable {
        var id: Int64
        var policy: SourcePolicy
    }

    private struct Entry {
        var known: Known
        var until: ContinuousClock.Instant
    }

    /// How long a change of a source's settings may take to be seen here.
    static let retention = Duration.seconds(5)
    static let capacity = 10_000

    private let pool: PostgresPool
    /// What counts where a source's settings say nothing.
    private let defaults: SourcePolicy
    private let now: @Sendable () -> ContinuousClock.Instant
    private let entries = Mutex<[Name: Entry]>([:])

    init(
        pool: PostgresPool, defaults: SourcePolicy, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.pool = pool
        self.defaults = defaults
        self.now = now
    }

    /// The source, made if there is none.
    nonisolated(nonsending) func source(_ name: ResourceName, workspaceID: Int64) async throws -> Known {
        let key = Name(workspaceID: workspaceID, name: name.text)
        let now = now()
        if let entry = entries.withLock({ $0[key] }), entry.until > now { return entry.known }
        let source = try await pool.withConnection { connection -> Source? in
            let find = FindSource(workspaceID: workspaceID, name: name.text)
            if let source = try await connection.query(find).first { return source }
            _ = try await connection.query(EnsureSource(workspaceID: workspaceID, name: name.text))
            return try await connection.query(find).first
        }
        guard let source else { throw TooBusy(reason: "the source was removed while it was being made") }
        let known = Known(id: source.id, policy: defaults.with(SourceSettings(stored: source.settings)))
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries = entries.filter { $0.value.until > now } }
            if entries.count >= Self.capacity { entries.removeAll() }
            entries[key] = Entry(known: known, until: now + Self.retention)
        }
        return known
    }

    /// Forgets a source that has just been changed or deleted here.
    func forget(_ name: ResourceName, workspaceID: Int64) {
        entries.withLock { $0[Name(workspaceID: workspaceID, name: name.text)] = nil }
    }
}
