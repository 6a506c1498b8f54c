/// The pool's state machine: a value that never waits and does nothing itself. Each method changes the state and
/// returns what has to be done, to be carried out after the lock is released. README.md has the invariants.
struct PoolState {
    typealias Instant = ContinuousClock.Instant
    typealias ConnectionID = UInt64
    typealias WaiterID = UInt64

    struct Limits {
        var connections: Int
        var loops: Int
        var waiters: Int
        var acquireTimeout: Duration
        var unavailableTimeout: Duration
        var idleTimeout: Duration?
        var firstBackoff: Duration
        var mostBackoff: Duration
    }

    /// - `opening`: the service connects; counts against the limit.
    /// - `idle`: in its loop's stack, usable.
    /// - `leased`: with one task.
    /// - `closing`: told to close; counts until it has.
    enum Slot {
        case opening, idle(since: Instant), leased, closing
    }

    struct Connection {
        let loop: Int
        var slot: Slot
    }

    struct Waiter {
        let id: WaiterID
        let loop: Int?
        let deadline: Instant
        /// Set while the database is away: until then it may come back.
        var awayDeadline: Instant?
        /// How often a later waiter was preferred because a connection was of its loop.
        var passedOver = 0
    }

    enum Phase { case waitingForService, running, draining, stopped }

    enum Refusal { case unavailable, queueFull, timedOut, closed }

    enum Action: Equatable {
        case open(ConnectionID, loop: Int, after: Duration)
        case close(ConnectionID)
        case serve(WaiterID, ConnectionID)
        case refuse(WaiterID, Refusal)
        case wakeAt(Instant)
        case finished
    }

    enum Lease: Equatable {
        case use(ConnectionID)
        case wait
        case refused(Refusal)
    }

    /// How many waiters are looked at for one of the connection's loop, and how often one may be passed over.
    static let preferenceWindow = 4

    let limits: Limits
    var phase = Phase.waitingForService
    var connections: [ConnectionID: Connection] = [:]
    /// The idle connections of each loop, the most recently used last.
    var idle: [[ConnectionID]]
    /// In the order of arrival; deadlines need not be.
    var waiters: [Waiter] = []
    var nextConnection: ConnectionID = 1
    /// How many attempts to connect have failed since one succeeded; above zero without any open connection the
    /// database is away.
    var failures = 0
    /// The earliest instant for which a wake-up has been asked.
    var wakeAt: Instant?
    /// A random number in 0..<1.
    let random: @Sendable () -> Double

    init(_ limits: Limits, random: @escaping @Sendable () -> Double) {
        self.limits = limits
        self.random = random
        idle = Array(repeating: [], count: max(1, limits.loops))
    }

    // MARK: What the metrics show

    var inUse: Int { connections.values.count { if case .leased = $0.slot { true } else { false } } }
    var idleCount: Int { idle.reduce(0) { $0 + $1.count } }
    var openingCount: Int { connections.values.count { if case .opening = $0.slot { true } else { false } } }

    /// The database could not be reached and nothing speaks against it.
    var isAway: Bool {
        guard failures > 0 else { return false }
        return !connections.values.contains { if case .leased = $0.slot { true } else { false } } && idleCount == 0
    }

    // MARK: Leasing

    /// A task wants a connection. With `.wait` it is in the queue; an action will serve or refuse it.
    mutating func lease(_ waiter: WaiterID, loop: Int?, now: Instant) -> (Lease, [Action]) {
        switch phase {
        case .draining, .stopped: return (.refused(.closed), [])
        case .waitingForService, .running: break
        }
        if let (id, actions) = leaseIdle(loop) { return (.use(id), actions) }
        guard waiters.count < limits.waiters else { return (.refused(isAway ? .unavailable : .queueFull), []) }
        let newcomer = Waiter(
            id: waiter, loop: loop, deadline: now + limits.acquireTimeout,
            awayDeadline: isAway ? now + limits.unavailableTimeout : nil)
        waiters.append(newcomer)
        return (.wait, openForWaiters() + scheduleWake(newcomer.patience))
    }

    /// Leases an idle connection if there is one and nobody waits: what `lease` does first.
    mutating func leaseIdle(_ loop: Int?) -> (ConnectionID, [Action])? {
        guard phase == .running, waiters.isEmpty, let id = takeIdle(preferring: loop) else { return nil }
        connections[id]?.slot = .leased
        return (id, openForLoop(loop, servedFrom: connections[id]?.loop))
    }

    /// A waiting task was cancelled. False if it is served or refused already.
    mutating func cancel(_ waiter: WaiterID) -> Bool {
        guard let index = waiters.firstIndex(where: { $0.id == waiter }) else { return false }
        waiters.remove(at: index)
        return true
    }

    /// A leased connection comes back, usable or not.
    mutating func giveBack(_ id: ConnectionID, usable: Bool, now: Instant) -> [Action] {
        guard let connection = connections[id] else { return [] }
        guard usable, phase == .running || phase == .waitingForService else {
            connections[id]?.slot = .closing
            return [.close(id)]
        }
        return offer(id, connection.loop, now)
    }

    /// A connection that was just taken turned out to be broken before anything was sent: it is closed, and so are the
    /// other idle ones, since what broke one (a restart of the server) broke all.
    mutating func foundBroken(_ id: ConnectionID) -> [Action] {
        connections[id]?.slot = .closing
        return [.close(id)] + closeIdle()
    }

    // MARK: Helpers

    private mutating func takeIdle(preferring loop: Int?) -> ConnectionID? {
        if let loop, let id = idle[loop].popLast() { return id }
        guard let fullest = idle.indices.max(by: { idle[$0].count < idle[$1].count }) else { return nil }
        return idle[fullest].popLast()
    }

    /// Gives a usable connection to a waiter or puts it among the idle ones.
    mutating func offer(_ id: ConnectionID, _ loop: Int, _ now: Instant) -> [Action] {
        if let index = chooseWaiter(for: loop) {
            for passed in 0..<index { waiters[passed].passedOver += 1 }
            let waiter = waiters.remove(at: index)
            connections[id]?.slot = .leased
            return [.serve(waiter.id, id)]
        }
        connections[id]?.slot = .idle(since: now)
        idle[loop].append(id)
        return limits.idleTimeout.map { scheduleWake(now + $0) } ?? []
    }

    private func chooseWaiter(for loop: Int) -> Int? {
        guard let first = waiters.first else { return nil }
        if first.passedOver >= Self.preferenceWindow { return 0 }
        return waiters.prefix(Self.preferenceWindow).firstIndex { $0.loop == nil || $0.loop == loop } ?? 0
    }

    /// Opens as many connections as there are waiters that nothing being opened will serve.
    mutating func openForWaiters() -> [Action] {
        guard phase == .running else { return [] }
        var actions: [Action] = []
        // While the database is away one attempt at a time is enough.
        let most = failures > 0 ? 1 : waiters.count
        var opening = openingCount
        while opening < most, connections.count < limits.connections {
            let loop = opening < waiters.count ? waiters[opening].loop : nil
            actions.append(open(on: loop ?? emptiestLoop(), after: .zero))
            opening += 1
        }
        return actions
    }

    /// A task was served from another loop: its own gets a connection too, while it has less than its share.
    private mutating func openForLoop(_ loop: Int?, servedFrom other: Int?) -> [Action] {
        guard let loop, loop != other, phase == .running, failures == 0 else { return [] }
        guard connections.count < limits.connections else { return [] }
        let share = max(1, limits.connections / max(1, limits.loops))
        guard connections.values.count(where: { $0.loop == loop }) < share else { return [] }
        guard !connections.values.contains(where: { $0.loop == loop && $0.isOpening }) else { return [] }
        return [open(on: loop, after: .zero)]
    }

    mutating func open(on loop: Int, after delay: Duration) -> Action {
        let id = nextConnection
        nextConnection += 1
        connections[id] = Connection(loop: loop, slot: .opening)
        return .open(id, loop: loop, after: delay)
    }

    func emptiestLoop() -> Int {
        var counts = Array(repeating: 0, count: idle.count)
        for connection in connections.values { counts[connection.loop] += 1 }
        return counts.indices.min { counts[$0] < counts[$1] } ?? 0
    }

    mutating func closeIdle() -> [Action] {
        var actions: [Action] = []
        for loop in idle.indices {
            for id in idle[loop] {
                connections[id]?.slot = .closing
                actions.append(.close(id))
            }
            idle[loop] = []
        }
        return actions
    }

    /// Asks for a wake-up, unless one that comes early enough has been asked for.
    mutating func scheduleWake(_ instant: Instant) -> [Action] {
        if let wakeAt, wakeAt <= instant { return [] }
        wakeAt = instant
        return [.wakeAt(instant)]
    }
}

extension PoolState.Waiter {
    /// Until when it waits as things are.
    var patience: PoolState.Instant { min(deadline, awayDeadline ?? deadline) }
}

extension PoolState.Connection {
    var isOpening: Bool {
        if case .opening = slot { true } else { false }
    }
}
