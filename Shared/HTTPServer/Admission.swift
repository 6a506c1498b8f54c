import Observability
import Synchronization

/// Counts a server's connections, loop by loop, and says where a new one goes.
final class Admission: Sendable {
    enum Decision: Equatable {
        case loop(Int)
        /// There are as many as there may be.
        case refused
    }

    private struct Counts {
        var total = 0
        var perLoop: [Int]
    }

    let mailboxes: [LoopMailbox]
    private let limit: Int
    private let counts: Mutex<Counts>
    private let open: Gauge
    private let refused: Counter

    init(_ mailboxes: [LoopMailbox], limit: Int, metrics: MetricsRegistry) {
        self.mailboxes = mailboxes
        self.limit = limit
        counts = Mutex(Counts(perLoop: [Int](repeating: 0, count: mailboxes.count)))
        open = metrics.gauge("http_connections", help: "Open connections.")
        refused = metrics.counter("http_connections_refused_total", help: "Connections over the limit.")
    }

    /// Counts a new connection in, on the loop with the fewest; `own` wins a tie.
    func admit(preferring own: Int) -> Decision {
        let decision = counts.withLock { counts -> Decision in
            guard counts.total < limit else { return .refused }
            var chosen = own
            for (index, count) in counts.perLoop.enumerated() where count < counts.perLoop[chosen] { chosen = index }
            counts.total += 1
            counts.perLoop[chosen] += 1
            return .loop(chosen)
        }
        if decision == .refused { refused.add() } else { open.add(1) }
        return decision
    }

    /// A loop could not take its connection.
    func move(from other: Int, to own: Int) {
        counts.withLock { counts in
            counts.perLoop[other] -= 1
            counts.perLoop[own] += 1
        }
    }

    /// A connection of the loop has ended.
    func leave(_ index: Int) {
        counts.withLock { counts in
            counts.total -= 1
            counts.perLoop[index] -= 1
        }
        open.add(-1)
    }
}
