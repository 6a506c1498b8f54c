public import EventLoop
public import Lifecycle
public import Observability
import Synchronization

/// Listens on channels, on a connection of its own, and connects again for as long as it runs.
///
/// What comes is a hint: payloads are untrusted, and what was sent while the connection was away is lost. Therefore
/// each time it begins to listen it says `.listening`, on which a user looks for itself. Hints nobody took are dropped
/// from the oldest on. The connection must not go through a transaction pooler.
public final class PostgresListener: Service {
    public enum Event: Sendable, Hashable {
        /// Listening began, at the start or again: anything may have happened before.
        case listening
        case notification(PostgresNotification)
    }

    /// The most events kept for a slow reader.
    public static let buffered = 1024

    public let name: String
    /// What was heard. One reader.
    public let events: AsyncStream<Event>
    private let channels: [String]
    private let configuration: PostgresConfiguration
    private let loop: EventLoop
    private let logger: Logger
    private let sink: AsyncStream<Event>.Continuation

    public init(
        channels: [String], configuration: PostgresConfiguration, loop: EventLoop, logger: Logger,
        name: String = "postgres-listener"
    ) {
        self.name = name
        self.channels = channels
        self.configuration = configuration
        self.loop = loop
        self.logger = logger
        (events, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(Self.buffered))
    }

    /// Listens until shutdown; `events` ends then.
    public func run(until shutdown: ShutdownSignal) async throws {
        defer { sink.finish() }
        await withDiscardingTaskGroup { group in
            group.addTask { await self.loop.run { await self.listenAgainAndAgain() } }
            await shutdown.requested()
            group.cancelAll()
        }
    }

    private func listenAgainAndAgain() async {
        var failures = 0
        while !Task.isCancelled {
            do {
                let core = try await ConnectionCore.connect(configuration, on: loop)
                defer { core.close() }
                try await core.listen(channels)
                failures = 0
                sink.yield(.listening)
                try await core.takeNotifications { self.sink.yield(.notification($0)) }
            } catch {
                if Task.isCancelled { return }
                if failures == 0 {
                    logger.warning("listening was interrupted", ["error": .string("\(error)")])
                }
                failures += 1
            }
            try? await loop.sleep(for: backoff(failures))
        }
    }

    /// Exponential with full jitter.
    private func backoff(_ failures: Int) -> Duration {
        let (first, most) = configuration.reconnectBackoff
        return Backoff.bound(first: first, most: most, failures: failures) * Double.random(in: 0..<1)
    }
}

extension ConnectionCore {
    func listen(_ channels: [String]) async throws {
        let script = channels.map { "LISTEN \(PostgresQuery.quoted(identifier: $0));" }.joined()
        _ = try await perform("listen", limit: configuration.connectTimeout) {
            try await runScript(script)
        }
    }

    /// Hands over notifications until the connection breaks or the task is cancelled.
    func takeNotifications(_ body: (PostgresNotification) -> Void) async throws {
        try await perform("listen") {
            while true {
                while let notification = handle.takeNotification() { body(notification) }
                try await awaitNotification()
            }
        }
    }
}
