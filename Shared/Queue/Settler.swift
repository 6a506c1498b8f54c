import Postgres
import Synchronization

/// Settles small groups that end at about the same time by one statement, and so by one commit.
///
/// A group that comes while none is being settled goes at once. What comes meanwhile gathers; whoever is first of it
/// settles all of it when the statement under way has ended.
final class Settler: Sendable {
    /// Jobs of a group that may share its statement; a larger one is worth its own.
    static let maximumJobs = 100
    /// Groups that share a statement.
    private static let maximumGroups = 100

    /// A group to be settled: jobs of one lease that have no more to commit than this.
    struct Group: Sendable {
        let lease: Int64
        let jobs: [Job]
        let finish: Bool
        /// Told the server process that is about to commit it.
        let willCommit: @Sendable (_ pid: Int32) -> Void
    }

    private enum Turn {
        case settled
        case failed(any Error)
        /// Something is wrong with one of the statement's groups: to be settled by its own.
        case alone
        /// Settles what has gathered, itself included.
        case leads(among: [Waiter])
    }

    private struct Waiter {
        let group: Group
        let continuation: CheckedContinuation<Turn, Never>
    }

    private struct State {
        var isUnderWay = false
        var gathered: ArraySlice<Waiter> = []
    }

    private let pool: PostgresPool
    private let backends: BackendRegistry
    private let limit: Duration
    private let state = Mutex(State())

    /// `limit`: how long a statement may take.
    init(pool: PostgresPool, backends: BackendRegistry, limit: Duration) {
        self.pool = pool
        self.backends = backends
        self.limit = limit
    }

    /// Returns once the group is settled. Errors: those of the statement, of which `LeaseFence` tells a lost lease.
    func settle(_ group: Group) async throws {
        switch await turn(of: group) {
        case .settled: return
        case .failed(let error): throw error
        case .alone: try await settleAlone(group)
        case .leads(let others):
            defer { passOn() }
            guard !others.isEmpty else { return try await settleAlone(group) }
            try await settle(group, with: others)
        }
    }

    private func turn(of group: Group) async -> Turn {
        let isFree = state.withLock { state in
            defer { state.isUnderWay = true }
            return !state.isUnderWay
        }
        if isFree { return .leads(among: []) }
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(group: group, continuation: continuation)
            let isFree = state.withLock { state in
                // It may have ended in between.
                guard state.isUnderWay else {
                    state.isUnderWay = true
                    return true
                }
                state.gathered.append(waiter)
                return false
            }
            if isFree { continuation.resume(returning: .leads(among: [])) }
        }
    }

    /// The first of those who wait settles what has gathered.
    private func passOn() {
        let next: ArraySlice<Waiter> = state.withLock { state in
            let next = state.gathered.prefix(Self.maximumGroups)
            state.gathered = state.gathered.dropFirst(next.count)
            state.isUnderWay = !next.isEmpty
            return next
        }
        next.first?.continuation.resume(returning: .leads(among: Array(next.dropFirst())))
    }

    private func settleAlone(_ group: Group) async throws {
        let statement = SettleStatement(lease: group.lease, jobs: group.jobs, finish: group.finish)
        try await pool.withConnection { [backends, limit] connection in
            group.willCommit(try await backends.record(connection))
            try await connection.execute(statement, timeout: limit)
        }
    }

    private func settle(_ group: Group, with others: [Waiter]) async throws {
        let groups = [group] + others.map(\.group)
        let lost: [Int64]
        do {
            lost = try await pool.withConnection { [backends, limit] connection in
                let pid = try await backends.record(connection)
                for group in groups { group.willCommit(pid) }
                return try await connection.query(SettleLeasesStatement(groups: groups), timeout: limit)
            }
        } catch {
            // What the server refuses is about one of them; a connection that fails is about all.
            let isRefused = [.server, .cancelled].contains((error as? PostgresError)?.code)
            for other in others { other.continuation.resume(returning: isRefused ? .alone : .failed(error)) }
            guard isRefused, !Task.isCancelled else { throw error }
            return try await settleAlone(group)
        }
        let error = QueueError(.leaseLost, "the lease was taken over", doing: "settle")
        for other in others {
            other.continuation.resume(returning: lost.contains(other.group.lease) ? .failed(error) : .settled)
        }
        if lost.contains(group.lease) { throw error }
    }
}
