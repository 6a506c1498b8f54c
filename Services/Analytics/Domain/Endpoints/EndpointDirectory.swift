import Access
import Catalog
import HTTP
import Postgres
import Synchronization

/// Endpoints by name, remembered for two seconds.
///
/// A change that this process makes counts at once, one of another process within `lifetime`: an entry is used until it
/// is half as old, then one call looks it up again while others still use it, and past `lifetime` nobody does. A lookup
/// that was under way during a change is not remembered.
final class EndpointDirectory: Sendable {
    private struct Name: Hashable {
        var workspaceID: Int64
        var name: String
    }

    private struct Entry {
        var endpoint: PublishedEndpoint
        /// When its lookup began.
        var began: ContinuousClock.Instant
        var isRefreshing = false
    }

    private struct Known {
        var entries: [Name: Entry] = [:]
        /// Changes made here so far.
        var changes = 0
    }

    static let lifetime = Duration.seconds(2)
    static let capacity = 10_000

    private let store: DefinitionStore<StoredEndpoint>
    private let metrics: EndpointMetrics
    private let now: @Sendable () -> ContinuousClock.Instant
    private let known = Mutex(Known())

    init(
        store: DefinitionStore<StoredEndpoint>, metrics: EndpointMetrics,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.store = store
        self.metrics = metrics
        self.now = now
    }

    /// The endpoint as it is now, or was less than `lifetime` ago. Throws `not_found`.
    nonisolated(nonsending) func endpoint(
        _ name: ResourceName, for principal: Principal
    ) async throws -> PublishedEndpoint {
        let key = Name(workspaceID: principal.workspaceID, name: name.text)
        let began = now()
        let (entry, isUsable, changes) = known.withLock { known -> (Entry?, Bool, Int) in
            guard let entry = known.entries[key], began - entry.began < Self.lifetime else {
                return (nil, false, known.changes)
            }
            if began - entry.began < Self.lifetime / 2 || entry.isRefreshing { return (entry, true, known.changes) }
            known.entries[key]?.isRefreshing = true
            return (entry, false, known.changes)
        }
        if let entry, isUsable { return entry.endpoint }
        let stored: StoredEndpoint
        do {
            stored = try await store.find(name, workspaceID: principal.workspaceID)
        } catch let error as PostgresError {
            known.withLock { $0.entries[key]?.isRefreshing = false }
            if let entry { return entry.endpoint }
            throw error
        } catch {
            known.withLock { $0.entries[key] = nil }
            throw error
        }
        let endpoint = try publish(stored, for: principal)
        known.withLock { known in
            guard known.changes == changes else { return }
            if known.entries.count >= Self.capacity {
                known.entries = known.entries.filter { began - $0.value.began < Self.lifetime }
            }
            if known.entries.count >= Self.capacity { known.entries.removeAll() }
            known.entries[key] = Entry(endpoint: endpoint, began: began)
        }
        return endpoint
    }

    /// Forgets an endpoint that has just been changed or deleted here.
    func forget(_ name: ResourceName, workspaceID: Int64) {
        known.withLock { known in
            known.entries[Name(workspaceID: workspaceID, name: name.text)] = nil
            known.changes += 1
        }
    }

    /// What is stored, ready to be called.
    func publish(_ stored: StoredEndpoint, for principal: Principal) throws -> PublishedEndpoint {
        try PublishedEndpoint(
            stored, workspaceID: principal.workspaceID,
            calls: metrics.calls(workspace: principal.workspace, endpoint: stored.name))
    }
}
