import EventLoop
import Lifecycle
import Observability
import Postgres
import Synchronization

/// Says that the worker lives, while it may hold leases: on a thread and a connection of its own, which no handler can
/// block and no pool can run out of.
final class Liveness: Sendable {
    private struct State {
        var session: WorkerSession?
        var isBusy = false
    }

    private static let retryPause: Duration = .seconds(1)

    private let database: PostgresConfiguration
    private let loop: EventLoop
    private let interval: Duration
    private let metrics: QueueMetrics
    private let logger: Logger
    private let state = Mutex(State())

    /// Nothing but this may block `loop`.
    init(_ database: PostgresConfiguration, loop: EventLoop, interval: Duration, metrics: QueueMetrics, logger: Logger)
    {
        self.database = database
        self.loop = loop
        self.interval = interval
        self.metrics = metrics
        self.logger = logger
    }

    /// Whose life is told, and whether it needs to be.
    func set(_ session: WorkerSession?, isBusy: Bool) {
        state.withLock { $0 = State(session: session, isBusy: isBusy) }
    }

    /// Beats until the shutdown is requested. A worker that finds itself declared lost is told by its book; `mailbox`
    /// is woken then.
    func run(until shutdown: ShutdownSignal, lost mailbox: Mailbox) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.loop.run { await self.beat(lost: mailbox) } }
            await shutdown.requested()
            group.cancelAll()
        }
    }

    private func beat(lost mailbox: Mailbox) async {
        var connection: PostgresConnection?
        var pause = interval
        var counts = RateCounts(metrics, at: .now)
        while (try? await loop.sleep(for: pause)) != nil {
            pause = interval
            let rates = counts.rates(metrics, at: .now)
            let (session, isBusy) = state.withLock { ($0.session, $0.isBusy) }
            guard let session, isBusy else { continue }
            do {
                let open =
                    if let connection { connection } else { try await PostgresConnection.connect(database, on: loop) }
                connection = open
                let statement = BeatStatement(worker: session.worker, rates: rates)
                let isAlive = try await open.query(statement, timeout: interval).first ?? false
                if !isAlive {
                    session.book.lose()
                    mailbox.wake()
                }
            } catch {
                logger.warning("a worker could not say that it lives", ["error": .describing(error)])
                await connection?.close()
                connection = nil
                pause = min(interval, Self.retryPause)
            }
        }
        await connection?.close()
    }
}

/// What a worker had settled, failed and buried at its last beat.
private struct RateCounts {
    private var counts: (settled: Int, retried: Int, dead: Int)
    private var at: ContinuousClock.Instant

    init(_ metrics: QueueMetrics, at now: ContinuousClock.Instant) {
        counts = (metrics.settled.value, metrics.retried.value, metrics.dead.value)
        at = now
    }

    /// Jobs a second since the call before.
    mutating func rates(_ metrics: QueueMetrics, at now: ContinuousClock.Instant) -> BeatStatement.Rates {
        let before = self
        self = RateCounts(metrics, at: now)
        let seconds = max((now - before.at).seconds, 0.001)
        return BeatStatement.Rates(
            succeeded: Double(counts.settled - before.counts.settled) / seconds,
            failed: Double(counts.retried - before.counts.retried) / seconds,
            dead: Double(counts.dead - before.counts.dead) / seconds)
    }
}
