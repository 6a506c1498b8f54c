/// A loop's connections that have something to do, in the order in which they came.
struct ReadyConnections {
    private var ready: [Connection] = []
    /// How many of `ready` have been taken.
    private var taken = 0
    private var later: [Connection] = []

    var isEmpty: Bool { ready.isEmpty }
    var isPutOff: Bool { !later.isEmpty }

    /// To be served in this turn of the loop.
    mutating func add(_ connection: Connection) { ready.append(connection) }

    /// To be served in the next turn, after what comes meanwhile.
    mutating func addLater(_ connection: Connection) { later.append(connection) }

    mutating func beginTurn() {
        guard !later.isEmpty else { return }
        ready.append(contentsOf: later)
        later.removeAll(keepingCapacity: true)
    }

    mutating func take() -> Connection? {
        guard taken < ready.count else { return nil }
        let next = ready[taken]
        taken += 1
        if taken == ready.count {
            ready.removeAll(keepingCapacity: true)
            taken = 0
        }
        return next
    }
}
