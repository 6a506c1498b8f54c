public import Lifecycle
public import Observability
public import Postgres

/// A candidate for the leadership of the queue. The leader, one for the whole database, makes deferred jobs ready when
/// they are due, fires schedules, takes the jobs of lost workers away from them, and makes and drops partitions.
///
/// At rest the leader sends three statements each `renewal` (15 s), the second for the next tick of a schedule, the
/// third for metrics of depth, and one each `retirement` (5 min); a candidate sends one at the end of each term it
/// sees. Every `Worker` runs one; a process that only enqueues may run one too.
public final class QueueLeader: Service {
    public let name = "queue leader"
    let pool: PostgresPool
    let configuration: LeaderConfiguration
    let backoff: Backoff
    let logger: Logger
    let metrics: LeaderMetrics
    private let depth: DepthMetrics
    private let random: @Sendable () -> Double
    private let holder = UniqueNumber.nextText()
    private let signal = WakeSignal()

    public init(
        pool: PostgresPool, configuration: LeaderConfiguration = LeaderConfiguration(), backoff: Backoff = Backoff(),
        random: @escaping @Sendable () -> Double = { .random(in: 0...1) }, logger: Logger, metrics: MetricsRegistry
    ) {
        self.pool = pool
        self.configuration = configuration
        self.backoff = backoff
        self.random = random
        self.logger = logger
        self.metrics = LeaderMetrics(metrics)
        depth = DepthMetrics(metrics)
    }

    /// Jobs were enqueued somewhere; one may be due soon. Looked at once a second at most.
    func nudge() {
        signal.raise()
    }

    /// Leads, or waits to lead, until the shutdown is requested; then resigns.
    public func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await shutdown.requested()
                self.signal.raise()
            }
            await lead(until: shutdown)
            group.cancelAll()
        }
    }

    private func lead(until shutdown: ShutdownSignal) async {
        var state = LeaderState(configuration, now: .now)
        while !shutdown.isRequested, !Task.isCancelled {
            let began = ContinuousClock.now
            do {
                let after = state.deferredAfter(at: began)
                let statement = LeadStatement(holder: holder, term: configuration.term, after: after)
                guard let row = try await ask(statement, for: .seconds(10)).first else { continue }
                if state.ticked(row, began: began, ended: .now, random: random()) {
                    logger.info("leading the queue")
                }
                metrics.isLeader.set(row.isLeader ? 1 : 0)
                if row.isLeader { try await work(row, after: after, &state) } else { depth.clear() }
            } catch {
                state.failed(at: .now, random: random())
                logger.warning("the queue's leader had trouble", ["error": .describing(error)])
            }
            await wait(state, until: shutdown)
        }
        metrics.isLeader.set(0)
        depth.clear()
        guard state.isLeader else { return }
        try? await tell(ResignStatement(holder: holder))
    }

    /// A statement's rows. A connection that gives no answer for so long is given up, and the tick with it.
    func ask<S: PostgresStatement>(_ statement: S, for patience: Duration = .seconds(30)) async throws -> [S.Row] {
        try await pool.withConnection { try await $0.query(statement, timeout: patience) }
    }

    /// A statement for its effect, as ``ask(_:for:)``.
    func tell<S: PostgresStatement>(_ statement: S) async throws {
        _ = try await pool.withConnection { try await $0.execute(statement, timeout: .seconds(30)) }
    }

    /// Until the next tick is due. A nudge brings it forward, to a second after the last one.
    private func wait(_ state: LeaderState, until shutdown: ShutdownSignal) async {
        while !shutdown.isRequested, !Task.isCancelled {
            let now = ContinuousClock.now
            if now >= state.tickAt { return }
            await signal.wait(until: state.tickAt)
            guard state.isLeader, !shutdown.isRequested else { continue }
            let soonest = state.soonest
            if ContinuousClock.now < soonest {
                try? await ContinuousClock().sleep(until: min(soonest, state.tickAt))
            }
            return
        }
    }

    private func work(_ row: LeadStatement.Row, after: Int64, _ state: inout LeaderState) async throws {
        if row.partitionsAhead < Int64(configuration.partitionsAhead) {
            let statement = MakePartitionsStatement(ahead: configuration.partitionsAhead)
            let made = try await ask(statement).first ?? 0
            logger.info("made partitions ahead", ["queue.partitions": .int(Int(made))])
        }
        if let dueIn = row.dueIn, dueIn <= .zero { try await moveDue(after: after, &state) }
        try await fireSchedules(&state)
        if row.isBusy, state.mayDeclareLost(at: .now) { try await rescue() }
        if state.mustInspect(at: .now) {
            depth.show(try await ask(InspectAllStatement()))
        }
        if state.mustRetire(at: .now) { await retire(&state) }
    }

    /// Makes ready what is due, a thousand jobs a transaction, and tells the queues.
    private func moveDue(after: Int64, _ state: inout LeaderState) async throws {
        let limit = 1000
        while !Task.isCancelled {
            let began = ContinuousClock.now
            let statement = MoveDueStatement(after: after, limit: limit)
            guard let row = try await ask(statement).first else { return }
            metrics.moved.add(Int(row.moved))
            if row.moved > 0 {
                let notify = NotifyStatement(queues: row.queues)
                try await tell(notify)
            }
            if row.moved < limit {
                state.moved(upTo: row.now, dueIn: row.dueIn, began: began, ended: .now)
                return
            }
        }
    }
}
