public import EventLoop
public import Lifecycle
public import Observability
public import Postgres
import Synchronization

/// Tells workers that jobs were enqueued: NOTIFY after the commit, on a connection of its own, never inside the
/// transaction (that would serialise all commits).
///
/// The first for a queue goes out at once, then at most one every 50 ms. A hint only: when one is lost, a worker finds
/// the job by its next poll. Nothing here blocks or fails the caller.
public final class Wakeup: Service {
    /// What is notified on; the payload is the queue's name.
    public static let channel = "millrace_queue"

    public let name = "queue wakeup"
    private let database: PostgresConfiguration
    private let loop: EventLoop
    private let logger: Logger
    private let state = Mutex(WakeupState())
    private let signal = WakeSignal()

    /// `loop` is where its connection lives.
    public init(_ database: PostgresConfiguration, loop: EventLoop, logger: Logger) {
        self.database = database
        self.loop = loop
        self.logger = logger
    }

    /// To be called after the commit that enqueued jobs, delayed ones included.
    public func notify(_ queue: String) {
        if state.withLock({ $0.add(queue) }) { signal.raise() }
    }

    /// To be called once a queue was paused: its workers give back what they have not started.
    public func paused(_ queue: String) {
        notify(QueueMessage.paused.payload(queue: queue))
    }

    /// To be called once a job was cancelled that was running: its handler is told.
    public func cancelled(_ job: Int64, of queue: String) {
        notify(QueueMessage.cancelled(job).payload(queue: queue))
    }

    /// Sends what is asked for until the shutdown is requested, and then what is left.
    public func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await shutdown.requested()
                self.signal.raise()
            }
            await send(until: shutdown)
            group.cancelAll()
        }
    }

    private func send(until shutdown: ShutdownSignal) async {
        var connection: PostgresConnection?
        while !Task.isCancelled {
            let stops = shutdown.isRequested
            let (due, next) = state.withLock { $0.takeDue(at: .now, all: stops) }
            if !due.isEmpty {
                connection = await send(due, connection)
                if connection == nil {
                    // The database is away: so are the workers' connections. Their polls find the jobs.
                    await signal.wait(until: .now + .milliseconds(500))
                }
            }
            if stops { break }
            if due.isEmpty { await signal.wait(until: next) }
        }
        await connection?.close()
    }

    /// Returns the connection to be used next time, nil when it broke.
    private func send(_ queues: [String], _ connection: PostgresConnection?) async -> PostgresConnection? {
        do {
            let connection =
                if let connection { connection } else { try await PostgresConnection.connect(database, on: loop) }
            try await connection.execute(NotifyStatement(queues: queues), timeout: .seconds(5))
            return connection
        } catch {
            logger.warning("a wake-up could not be sent", ["error": .describing(error)])
            await connection?.close()
            return nil
        }
    }
}

/// Which queues are to be notified, and when. A value; the lock is around it.
struct WakeupState: Sendable {
    static let interval: Duration = .milliseconds(50)
    /// More names than any installation has queues.
    static let maximumQueues = 1024

    private var pending: Set<String> = []
    private var sentAt: [String: ContinuousClock.Instant] = [:]

    /// Returns whether the sender has to be woken: it has if the queue was not pending already.
    mutating func add(_ queue: String) -> Bool {
        guard pending.count < Self.maximumQueues else { return false }
        return pending.insert(queue).inserted
    }

    /// The queues whose interval is over, or all; and when the next one's will be.
    mutating func takeDue(
        at now: ContinuousClock.Instant, all: Bool
    ) -> (due: [String], next: ContinuousClock.Instant?) {
        var due: [String] = []
        var next: ContinuousClock.Instant?
        for queue in pending {
            let allowed = sentAt[queue].map { $0 + Self.interval } ?? now
            if all || allowed <= now {
                due.append(queue)
            } else {
                next = min(next ?? allowed, allowed)
            }
        }
        sentAt = sentAt.filter { $0.value + Self.interval > now }
        for queue in due {
            pending.remove(queue)
            sentAt[queue] = now
        }
        return (due, next)
    }
}
