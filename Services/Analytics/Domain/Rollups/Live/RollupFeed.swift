import HTTP
import Lifecycle
import Observability
import Postgres
import Records
import Synchronization

/// Follows the rollups that somebody listens to, and keeps the newest events of each for all its listeners.
///
/// A `RollupHandler` sends a wake-up for ``topic`` after its commits; it is a hint, what counts is the log of events,
/// which is asked for all rollups at once. A lost hint costs up to ``pollInterval``. Nothing is asked while nobody
/// listens. A listener holds nothing but the id of its last event: what it has not taken is in the ring of its rollup,
/// and one that falls behind that is let go.
final class RollupFeed: Service {
    /// What is followed: a rollup's events in one way to write numbers.
    struct Key: Hashable, Sendable {
        var rollupID: Int64
        var numbers: NumberStyle
    }

    /// A listener's place, given back when nobody has it any more: also where a client goes before its stream begins.
    final class Listener: Sendable {
        private let feed: RollupFeed
        let key: Key
        fileprivate let token: Int
        /// When there may be something new. Ends where there will be no more.
        fileprivate let wakes: AsyncStream<Void>

        fileprivate init(_ feed: RollupFeed, _ key: Key, _ token: Int, _ wakes: AsyncStream<Void>) {
            (self.feed, self.key, self.token, self.wakes) = (feed, key, token, wakes)
        }

        deinit { feed.leave(key, token) }
    }

    private struct Followed {
        var ring: EventRing
        var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
    }

    private struct State {
        var followed: [Key: Followed] = [:]
        var listenerCount = 0
        var nextToken = 0
    }

    static let topic = "rollups"
    static let pollInterval = Duration.seconds(5)
    static let maximumListeners = 1000

    let name = "rollup-feed"
    private let pool: PostgresPool
    private let reader: RollupEventReader
    private let hints: PostgresListener
    private let logger: Logger
    private let listening: Gauge
    private let shed: Counter
    private let state = Mutex(State())
    private let kicks: AsyncStream<Void>
    private let kick: AsyncStream<Void>.Continuation

    init(pool: PostgresPool, hints: PostgresListener, metrics: MetricsRegistry, logger: Logger) {
        self.pool = pool
        reader = RollupEventReader(pool: pool)
        self.hints = hints
        self.logger = logger
        listening = metrics.gauge("millrace_rollup_listeners", help: "Streams of rollups' changes that are open.")
        shed = metrics.counter(
            "millrace_rollup_listeners_shed_total", help: "Streams of rollups' changes that were ended as too slow.")
        (kicks, kick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: Listening

    /// Throws `too_many_connections` where there are as many listeners as there may be.
    func follow(_ rollup: StoredRollup, _ numbers: NumberStyle) throws(Problem) -> Listener {
        let key = Key(rollupID: rollup.id, numbers: numbers)
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let token = state.withLock { state -> Int? in
            guard state.listenerCount < Self.maximumListeners else { return nil }
            state.listenerCount += 1
            state.nextToken += 1
            state.followed[key, default: Followed(ring: EventRing(after: rollup.lastEvent))]
                .listeners[state.nextToken] = wake
            listening.set(state.listenerCount)
            return state.nextToken
        }
        guard let token else {
            throw Problem(
                .tooManyConnections, "\(Self.maximumListeners) streams are open already", retryAfter: .seconds(5))
        }
        kick.yield()
        return Listener(self, key, token, wakes)
    }

    private func leave(_ key: Key, _ token: Int) {
        state.withLock { state in
            state.listenerCount -= 1
            listening.set(state.listenerCount)
            state.followed[key]?.listeners[token] = nil
            if state.followed[key]?.listeners.isEmpty == true { state.followed[key] = nil }
        }
    }

    /// Sends a listener what has come after `position`, and then what comes, until the rollup is gone or the listener
    /// is too slow. Errors: those of `send`, and `PostgresError`.
    func run(
        _ listener: Listener, after position: Int64, send: (RollupEvent) async throws -> Void
    ) async throws {
        var (last, isUpToDate) = (position, false)
        var wakes = listener.wakes.makeAsyncIterator()
        while true {
            let events: [RollupEvent]
            switch next(listener, after: last) {
            case nil: return
            case .nothing:
                isUpToDate = true
                guard await wakes.next() != nil else { return }
                continue
            case .events(let found): events = found
            case .missed:
                if isUpToDate { return shed.add(1) }
                guard let page = try await reader.read(listener.key.rollupID, after: last, listener.key.numbers)
                else { return }
                if page.isEmpty { try await Task.sleep(for: .milliseconds(500)) }
                events = page
            }
            for event in events {
                try await send(event)
                last = event.id
            }
        }
    }

    /// Nil where the rollup is gone.
    private func next(_ listener: Listener, after id: Int64) -> EventRing.Next? {
        state.withLock { state in
            guard let followed = state.followed[listener.key], followed.listeners[listener.token] != nil else {
                return nil
            }
            return followed.ring.next(after: id)
        }
    }

    // MARK: Following

    func run(until shutdown: ShutdownSignal) async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await shutdown.requested()
                self.kick.finish()
            }
            group.addTask {
                for await event in self.hints.events {
                    if case .notification(let heard) = event, heard.payload != Self.topic { continue }
                    self.kick.yield()
                }
            }
            group.addTask {
                while (try? await Task.sleep(for: Self.pollInterval)) != nil { self.kick.yield() }
            }
            for await _ in kicks { await look() }
            group.cancelAll()
        }
    }

    /// Reads what has come of all that is followed.
    private func look() async {
        let followed = state.withLock { $0.followed.mapValues(\.ring.last) }
        if followed.isEmpty { return }
        do {
            let find = FindRollupHeads(ids: Array(Set(followed.keys.map(\.rollupID))))
            let heads = try await pool.withConnection { try await $0.query(find) }
            let lasts = Dictionary(heads.map { ($0.id, $0.last) }, uniquingKeysWith: { $1 })
            for (key, last) in followed {
                guard let newest = lasts[key.rollupID] else {
                    end(key)
                    continue
                }
                if newest != last { try await read(key, after: last, upTo: newest) }
            }
        } catch {
            logger.warning("rollups' changes could not be read", ["error": .describing(error)])
        }
    }

    private func read(_ key: Key, after first: Int64, upTo newest: Int64) async throws {
        var last = first
        while last != newest {
            guard let page = try await reader.read(key.rollupID, after: last, key.numbers) else { return end(key) }
            guard let end = page.last?.id else { return }
            last = end
            let waiting = state.withLock { state -> [AsyncStream<Void>.Continuation] in
                for event in page { state.followed[key]?.ring.append(event) }
                return state.followed[key].map { Array($0.listeners.values) } ?? []
            }
            for listener in waiting { listener.yield() }
            if last > newest { return }
        }
    }

    /// The rollup is gone.
    private func end(_ key: Key) {
        let waiting = state.withLock { state -> [AsyncStream<Void>.Continuation] in
            defer { state.followed[key]?.listeners = [:] }
            return state.followed[key].map { Array($0.listeners.values) } ?? []
        }
        for listener in waiting { listener.finish() }
    }
}
