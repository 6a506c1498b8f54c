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
    private let logger: Logger
    private let state = Mutex(State())

    /// Nothing but this may block `loop`.
    init(_ database: PostgresConfiguration, loop: EventLoop, interval: Duration, logger: Logger) {
        self.database = database
        self.loop = loop
        self.interval = interval
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
        while (try? await loop.sleep(for: pause)) != nil {
            pause = interval
            let (session, isBusy) = state.withLock { ($0.session, $0.isBusy) }
            guard let session, isBusy else { continue }
            do {
                let open =
                    if let connection { connection } else { try await PostgresConnection.connect(database, on: loop) }
                connection = open
                let statement = BeatStatement(worker: session.worker)
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
