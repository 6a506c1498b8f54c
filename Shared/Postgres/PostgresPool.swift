public import EventLoop
public import Lifecycle
public import Observability
import Synchronization

/// A bounded set of connections, shared by tasks.
///
/// Each connection belongs to one loop; a task gets one of its own loop if it can. It opens connections as they are
/// needed and closes what has been unused for long; at rest it sends PostgreSQL nothing. While the database is away it
/// refuses within `unavailableTimeout` and keeps trying to connect. It works while its `run` does.
public final class PostgresPool: Service {
    /// What the lock guards; continuations and connections are looked up by the state machine's ids.
    struct Guarded {
        var state: PoolState
        var connections: [PoolState.ConnectionID: PostgresConnection] = [:]
        var waiters: [PoolState.WaiterID: CheckedContinuation<Answer, Never>] = [:]
        var nextWaiter: PoolState.WaiterID = 1
        var lastFailure: PostgresError?
    }

    enum Answer: Sendable {
        case connection(PoolState.ConnectionID, PostgresConnection)
        case refused(PostgresError)
    }

    /// What the service has to do.
    enum Command: Sendable {
        case open(PoolState.ConnectionID, loop: Int, after: Duration)
        case close(PoolState.ConnectionID, PostgresConnection?)
        case wakeAt(ContinuousClock.Instant)
        case stop
    }

    public let name: String
    public let configuration: PostgresConfiguration
    let loops: [EventLoop]
    private let turns = Atomic(UInt(0))
    let logger: Logger
    let metrics: PoolMetrics
    let guarded: Mutex<Guarded>
    let commands: AsyncStream<Command>
    private let commander: AsyncStream<Command>.Continuation

    /// `name` labels its metrics and logs.
    public init(
        _ configuration: PostgresConfiguration, loops: EventLoopGroup, logger: Logger, metrics: MetricsRegistry,
        name: String = "postgres"
    ) {
        self.name = name
        self.configuration = configuration
        self.loops = loops.loops
        self.logger = logger.with(["pool": .string(name)])
        self.metrics = PoolMetrics(metrics, pool: name)
        let limits = PoolState.Limits(
            connections: configuration.poolSize, loops: loops.loops.count, waiters: configuration.maximumWaiters,
            acquireTimeout: configuration.acquireTimeout, unavailableTimeout: configuration.unavailableTimeout,
            idleTimeout: configuration.idleTimeout, firstBackoff: configuration.reconnectBackoff.first,
            mostBackoff: configuration.reconnectBackoff.most)
        guarded = Mutex(Guarded(state: PoolState(limits) { Double.random(in: 0..<1) }))
        (commands, commander) = AsyncStream.makeStream()
        registerReadings(metrics)
    }

    /// Whether the database was reachable when last tried. Sends nothing.
    public var isAvailable: Bool {
        guarded.withLock { $0.state.phase == .running && !$0.state.isAway }
    }

    /// How many tasks use connections, and wait for them. Sends nothing.
    public var load: PoolLoad {
        guarded.withLock { guarded in
            PoolLoad(
                inUse: guarded.state.inUse, waiting: guarded.state.waiters.count,
                connections: configuration.poolSize, places: configuration.maximumWaiters,
                lastFailure: guarded.state.isAway ? guarded.lastFailure : nil)
        }
    }

    /// Runs `body` with a connection that is its own until it returns, on that connection's loop.
    ///
    /// Errors besides those of `body`: `.unavailable` while the database is away, `.poolExhausted` when the queue of
    /// waiters is full or the wait too long, `.closed` after shutdown, `.cancelled`.
    @discardableResult
    public func withConnection<T: Sendable>(
        _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        while true {
            let (id, connection) = try await acquire()
            let loop = connection.core.loop
            let value =
                if loop.isCurrent {
                    try await use(id, connection, body)
                } else {
                    try await loop.run { try await self.use(id, connection, body) }
                }
            if let value { return value }
        }
    }

    /// Runs `body` on one of the pool's loops, in turns: a connection that it asks for is there, if one is free.
    public func runOnLoop<T: Sendable>(_ body: @Sendable () async throws -> T) async rethrows -> T {
        let turn = turns.wrappingAdd(1, ordering: .relaxed).oldValue
        return try await loops[Int(turn % UInt(loops.count))].run(body)
    }

    /// Runs `body` in a transaction on a connection of its own, as `PostgresConnection.transaction` does.
    @discardableResult
    public func withTransaction<T: Sendable>(
        isolation: PostgresConnection.Isolation? = nil, readOnly: Bool = false,
        _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        try await withConnection { connection in
            try await connection.transaction(isolation: isolation, readOnly: readOnly, body)
        }
    }

    /// Nil if the connection turned out to have broken while it was idle.
    private func use<T: Sendable>(
        _ id: PoolState.ConnectionID, _ connection: PostgresConnection,
        _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T? {
        guard connection.core.checkIdle() else {
            change { $0.foundBroken(id) }
            return nil
        }
        do {
            let value = try await body(connection)
            await giveBack(id, connection)
            return value
        } catch {
            await giveBack(id, connection)
            throw error
        }
    }

    /// Takes the connection back; what its user left open is rolled back first.
    private func giveBack(_ id: PoolState.ConnectionID, _ connection: PostgresConnection) async {
        let core = connection.core
        if core.isInTransaction { await core.rollbackTransaction() }
        // Those that are idle may be as broken: half-open, each would cost its user the whole time limit.
        if core.phase == .closed || !core.handle.isGood { return change { $0.foundBroken(id) } }
        let usable = core.phase == .idle && !core.isInTransaction
        change { $0.giveBack(id, usable: usable, now: .now) }
    }

    /// Changes the state and does what follows, outside the lock.
    func change(_ body: (inout PoolState) -> [PoolState.Action]) {
        guarded.withLock { guarded -> [Effect] in
            let actions = body(&guarded.state)
            return actions.isEmpty ? [] : guarded.effects(of: actions)
        }.forEach { carryOut($0) }
    }

    func carryOut(_ effect: Effect) {
        switch effect {
        case .command(let command): commander.yield(command)
        case .resume(let waiter, let answer): waiter.resume(returning: answer)
        case .finished: commander.finish()
        }
    }
}
