extension PoolState {
    /// The service runs: connections may be opened for those who wait already.
    mutating func start() -> [Action] {
        guard phase == .waitingForService else { return [] }
        phase = .running
        return openForWaiters()
    }

    /// Takes no more tasks: idle connections are closed, waiters refused, leased connections awaited.
    mutating func drain() -> [Action] {
        guard phase == .running || phase == .waitingForService else { return [] }
        phase = .draining
        let refused = waiters.map { Action.refuse($0.id, .closed) }
        waiters = []
        return refused + closeIdle() + finishIfEmpty()
    }

    /// A connection was opened.
    mutating func opened(_ id: ConnectionID, now: Instant) -> [Action] {
        failures = 0
        for index in waiters.indices { waiters[index].awayDeadline = nil }
        guard let connection = connections[id] else { return [] }
        guard phase == .running else {
            connections[id]?.slot = .closing
            return [.close(id)]
        }
        // One attempt at a time was enough while the database was away; now the others may be opened too.
        return offer(id, connection.loop, now) + openForWaiters()
    }

    /// An attempt to open a connection failed.
    mutating func openFailed(_ id: ConnectionID, now: Instant) -> [Action] {
        guard let connection = connections.removeValue(forKey: id) else { return [] }
        guard phase == .running else { return finishIfEmpty() }
        failures += 1
        var actions: [Action] = []
        if isAway {
            // Those who came before the database went away wait no longer than those who come now.
            let latest = now + limits.unavailableTimeout
            for index in waiters.indices where waiters[index].awayDeadline == nil {
                waiters[index].awayDeadline = latest
            }
            if let first = waiters.map(\.patience).min() { actions += scheduleWake(first) }
            // Tried again without being asked, so that the database's return is noticed.
            if openingCount == 0 { actions.append(open(on: connection.loop, after: backoff())) }
        } else if !waiters.isEmpty, openingCount == 0, connections.count < limits.connections {
            actions.append(open(on: connection.loop, after: backoff()))
        }
        return actions
    }

    /// A connection has been closed.
    mutating func closed(_ id: ConnectionID) -> [Action] {
        connections[id] = nil
        return openForWaiters() + finishIfEmpty()
    }

    /// The wake-up asked for by `wakeAt`, or a later one.
    mutating func wake(now: Instant) -> [Action] {
        if let wakeAt, wakeAt <= now { self.wakeAt = nil }
        var actions: [Action] = []
        let late: Refusal = isAway ? .unavailable : .timedOut
        for waiter in waiters where waiter.patience <= now { actions.append(.refuse(waiter.id, late)) }
        waiters.removeAll { $0.patience <= now }
        actions += closeUnused(now)
        if let next = nextDeadline { actions += scheduleWake(next) }
        return actions
    }

    private mutating func closeUnused(_ now: Instant) -> [Action] {
        guard let limit = limits.idleTimeout else { return [] }
        var actions: [Action] = []
        for loop in idle.indices {
            let unused = idle[loop].filter { id in
                if case .idle(let since)? = connections[id]?.slot { since + limit <= now } else { false }
            }
            idle[loop].removeAll { unused.contains($0) }
            for id in unused {
                connections[id]?.slot = .closing
                actions.append(.close(id))
            }
        }
        return actions
    }

    private var nextDeadline: Instant? {
        var next = waiters.map(\.patience).min()
        guard let limit = limits.idleTimeout else { return next }
        for connection in connections.values {
            guard case .idle(let since) = connection.slot else { continue }
            next = min(next ?? (since + limit), since + limit)
        }
        return next
    }

    private func backoff() -> Duration {
        Backoff.bound(first: limits.firstBackoff, most: limits.mostBackoff, failures: failures) * random()
    }

    private mutating func finishIfEmpty() -> [Action] {
        guard phase == .draining, connections.isEmpty else { return [] }
        phase = .stopped
        return [.finished]
    }
}
