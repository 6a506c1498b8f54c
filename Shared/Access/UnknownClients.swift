public import Lifecycle
import Observability
import Synchronization

/// Bounds what requests of nobody knows whom may write into the audit log: anybody can make as many as the network
/// carries, and their lines would push out those that matter. So many of an interval are written; of the others a line
/// says how many there were.
public final class UnknownClients: Service {
    /// What has been written and left out, as a value.
    struct Tally: Sendable {
        static let interval = Duration.seconds(10)
        /// Lines of an interval.
        static let most = 50

        private var began: ContinuousClock.Instant?
        private var written = 0
        private(set) var leftOut = 0

        /// Whether one more is written.
        mutating func admits(_ now: ContinuousClock.Instant) -> Bool {
            if began.map({ $0 + Self.interval <= now }) ?? true { (began, written) = (now, 0) }
            if written < Self.most {
                written += 1
                return true
            }
            leftOut += 1
            return false
        }

        /// How many were left out since the last time.
        mutating func take() -> Int {
            defer { leftOut = 0 }
            return leftOut
        }
    }

    public let name = "audit"
    private let logger: Logger
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let tally = Mutex(Tally())
    private let signal: AsyncStream<Void>
    private let signalInput: AsyncStream<Void>.Continuation

    init(_ logger: Logger, clock: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.logger = logger
        self.clock = clock
        (signal, signalInput) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether one more line is written.
    func admit() -> Bool {
        let now = clock()
        let (isWritten, leftOut) = tally.withLock { ($0.admits(now), $0.leftOut) }
        if !isWritten, leftOut == 1 { signalInput.yield() }
        return isWritten
    }

    public func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await shutdown.requested() }
            group.addTask {
                for await _ in self.signal {
                    guard (try? await Task.sleep(for: Tally.interval)) != nil else { return }
                    self.tell()
                }
            }
            await group.next()
            group.cancelAll()
        }
        tell()
    }

    /// Says how many were left out, if any were.
    func tell() {
        let count = tally.withLock { $0.take() }
        guard count > 0 else { return }
        logger.info(
            "audit.unknown_clients",
            ["audit.by": "none", "audit.count": .int(count), "audit.seconds": .duration(Tally.interval)])
    }
}
