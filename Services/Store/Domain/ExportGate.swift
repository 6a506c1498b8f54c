import HTTP
import Synchronization

/// Who may export now: so many at a time, and of one workspace no more than half of them, at least one.
///
/// A client that reads slowly keeps its export for as long as an hour; it is to keep out its own workspace only.
final class ExportGate: Sendable {
    /// The right to one export, from before its answer's head until its end; until the last reference goes where the
    /// answer is never written.
    final class Permit: Sendable {
        private let workspaceID: Int64
        private let gate: ExportGate
        private let isOver = Mutex(false)

        fileprivate init(_ workspaceID: Int64, _ gate: ExportGate) {
            self.workspaceID = workspaceID
            self.gate = gate
        }

        deinit { end() }

        func end() {
            let isFirst = isOver.withLock { isOver in
                defer { isOver = true }
                return !isOver
            }
            if isFirst { gate.leave(workspaceID) }
        }
    }

    let total: Int
    let perWorkspace: Int
    private let running = Mutex<[Int64: Int]>([:])

    init(total: Int) {
        self.total = total
        perWorkspace = max(1, total / 2)
    }

    /// Throws `rate_limited` where the workspace has its share, `too_many_connections` where all are taken.
    func enter(_ workspaceID: Int64) throws(Problem) -> Permit {
        try running.withLock { running throws(Problem) in
            guard running[workspaceID, default: 0] < perWorkspace else {
                throw Problem(
                    .rateLimited, "the workspace has \(perWorkspace) exports under way: try again when one has ended",
                    retryAfter: .seconds(10))
            }
            guard running.values.reduce(0, +) < total else {
                throw Problem(
                    .tooManyConnections, "\(total) exports are under way: try again when one has ended",
                    retryAfter: .seconds(10))
            }
            running[workspaceID, default: 0] += 1
        }
        return Permit(workspaceID, self)
    }

    private func leave(_ workspaceID: Int64) {
        running.withLock { running in
            let left = (running[workspaceID] ?? 1) - 1
            running[workspaceID] = left == 0 ? nil : left
        }
    }
}
