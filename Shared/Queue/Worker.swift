import EventLoop
public import Lifecycle
public import Observability
public import Postgres

/// The process's worker of one queue: claims jobs, has them handled, says that it lives, and gives back what it did not
/// start when it is asked to stop.
///
/// Connections: those of the pool for claims and work; one each for liveness, listening and wake-ups, on a thread of
/// their own. At rest it sends one statement each `pollInterval`, and the leader's.
public final class Worker: Service {
    public let queue: String
    public var name: String { "queue worker \(queue)" }
    let pool: PostgresPool
    let configuration: WorkerConfiguration
    let handler: any JobHandler
    let logger: Logger
    let metrics: QueueMetrics
    private let tracer: Tracer?
    let leader: QueueLeader
    let mailbox = Mailbox()

    /// - Parameter tracer: where the spans of jobs go whose traces are recorded; nil for nowhere.
    public init(
        queue: String, pool: PostgresPool, configuration: WorkerConfiguration = WorkerConfiguration(),
        handler: any JobHandler, tracer: Tracer? = nil, logger: Logger, metrics: MetricsRegistry
    ) {
        self.queue = queue
        self.pool = pool
        self.configuration = configuration
        self.handler = handler
        self.logger = logger.with(["queue.name": .string(queue)])
        self.metrics = QueueMetrics(metrics, queue: queue)
        self.tracer = tracer
        leader = QueueLeader(
            pool: pool, configuration: configuration.leader, backoff: configuration.backoff,
            random: configuration.random, logger: logger, metrics: metrics)
    }

    /// Works until the shutdown is requested; then gives back what was not started, waits for what runs, returns.
    public func run(until shutdown: ShutdownSignal) async throws {
        let threads = try EventLoopGroup(count: 1, name: "queue")
        defer { threads.shutdown() }
        let loop = threads.next()
        let liveness = Liveness(
            pool.configuration, loop: loop, interval: configuration.beatInterval, metrics: metrics, logger: logger)
        let wakeup = Wakeup(pool.configuration, loop: loop, logger: logger)
        let context = LeaseContext(
            queue: queue, pool: pool, handler: handler, backoff: configuration.backoff, kinds: configuration.kinds,
            random: configuration.random, wakeup: wakeup, metrics: metrics, tracer: tracer, logger: logger)
        // The others end after the fetcher: its drain needs them.
        let after = ShutdownSignal()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await liveness.run(until: after, lost: self.mailbox) }
            group.addTask { try await wakeup.run(until: after) }
            group.addTask { try await self.listen(on: loop, until: after) }
            if configuration.leads {
                group.addTask { try await self.leader.run(until: after) }
            }
            group.addTask {
                await shutdown.requested()
                self.mailbox.wake()
            }
            // Where its connections are: a claim costs no change of threads.
            await pool.runOnLoop { await Fetcher(self, context, liveness, until: shutdown).run() }
            after.request()
            try await group.waitForAll()
        }
    }

    /// Every notification may mean jobs for the leader; those of this queue mean jobs for the fetcher.
    private func listen(on loop: EventLoop, until shutdown: ShutdownSignal) async throws {
        let listener = PostgresListener(
            channels: [NotifyStatement.channel], configuration: pool.configuration, loop: loop, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await listener.run(until: shutdown) }
            for await event in listener.events {
                switch event {
                case .listening: mailbox.notified()
                case .notification(let notification):
                    if let message = QueueMessage(notification.payload, queue: queue) { mailbox.received(message) }
                }
                leader.nudge()
            }
            try await group.waitForAll()
        }
    }
}
