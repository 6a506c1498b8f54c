import Observability
import Synchronization

/// Counts a server's connections, loop by loop, and says where a new one goes.
final class Admission: Sendable {
    enum Decision: Equatable {
        case loop(Int)
        /// There are as many as there may be; the text says of what.
        case refused(String)
    }

    private struct Counts {
        var total = 0
        var perLoop: [Int]
        /// Nil where no client could have too many before there are too many in all.
        var clients: ClientCounts?
    }

    let mailboxes: [LoopMailbox]
    private let limit: Int
    private let counts: Mutex<Counts>
    private let open: Gauge
    private let refused: Counter

    init(_ mailboxes: [LoopMailbox], limits: HTTPLimits, metrics: MetricsRegistry) {
        self.mailboxes = mailboxes
        limit = limits.connections
        let clients = ClientCounts(limit: limits.connectionsPerClient, except: limits.proxies)
        counts = Mutex(
            Counts(
                perLoop: [Int](repeating: 0, count: mailboxes.count),
                clients: limits.connectionsPerClient < limit ? clients : nil))
        open = metrics.gauge("http_connections", help: "Open connections.")
        refused = metrics.counter("http_connections_refused_total", help: "Connections over the limit.")
    }

    /// Counts a new connection of a client in, on the loop with the fewest; `own` wins a tie.
    func admit(_ peer: String, preferring own: Int) -> Decision {
        let decision = counts.withLock { counts -> Decision in
            guard counts.total < limit else { return .refused("the server has too many connections") }
            guard counts.clients?.enter(peer) ?? true else { return .refused("the client has too many connections") }
            var chosen = own
            for (index, count) in counts.perLoop.enumerated() where count < counts.perLoop[chosen] { chosen = index }
            counts.total += 1
            counts.perLoop[chosen] += 1
            return .loop(chosen)
        }
        if case .refused = decision { refused.add() } else { open.add(1) }
        return decision
    }

    /// A loop could not take its connection.
    func move(from other: Int, to own: Int) {
        counts.withLock { counts in
            counts.perLoop[other] -= 1
            counts.perLoop[own] += 1
        }
    }

    /// A client's connection on the loop has ended.
    func leave(_ index: Int, _ peer: String) {
        counts.withLock { counts in
            counts.total -= 1
            counts.clients?.leave(peer)
            counts.perLoop[index] -= 1
        }
        open.add(-1)
    }
}
