import HTTP
public import HTTPClient
public import Lifecycle
public import Observability
import Synchronization

/// The issuer whose tokens are taken beside keys: fetches its public keys, and checks tokens by them.
///
/// Keys are fetched when the process starts, each quarter of an hour, and when a token names one that is not there, at
/// most once in thirty seconds. Nobody waits for an issuer that is away but for the first who ask for a key that is not
/// there; keys that are there stay.
public final class TokenIssuer: Service {
    /// Requests that wait for a fetch; further ones are answered `issuer_unavailable`.
    static let maximumWaiting = 256
    private static let longestAnswer = 256 * 1024
    private static let patience = Duration.seconds(5)

    private struct State {
        var keys = KeySetState()
        var waiting: [CheckedContinuation<Bool, Never>] = []
        /// Nobody fetches any more.
        var hasEnded = false
    }

    public let name = "token issuer"
    let settings: TokenSettings
    private let client: HTTPClient
    private let logger: Logger
    private let fetches: Counter
    private let failures: Counter
    private let clock: @Sendable () -> Double
    private let state = Mutex(State())
    private let wishes: AsyncStream<Void>
    private let wishInput: AsyncStream<Void>.Continuation

    /// `clock` gives seconds since 1970.
    public init(
        _ settings: TokenSettings, client: HTTPClient, logger: Logger, metrics: MetricsRegistry,
        clock: @escaping @Sendable () -> Double = WallClock.secondsSince1970
    ) {
        self.settings = settings
        self.client = client
        self.logger = logger
        self.clock = clock
        fetches = metrics.counter("millrace_token_key_fetches_total", help: "Fetches of the token issuer's keys.")
        failures = metrics.counter(
            "millrace_token_key_failures_total", help: "Fetches of the token issuer's keys that failed.")
        (wishes, wishInput) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Whether the keys could not be fetched when that was tried last.
    public var isAway: Bool { state.withLock { $0.keys.hasFailed } }

    /// Requests that wait for a fetch now.
    var waiting: Int { state.withLock { $0.waiting.count } }

    /// What the token says, and how long that holds. Throws `SignedToken.Fault` for a token that does not count, and
    /// `issuer_unavailable` where that cannot be told now: it names a key that is not there, and the issuer could not
    /// be asked, or too many wait for its answer.
    func verify(_ text: [UInt8]) async throws -> (claims: TokenClaims, validFor: Duration) {
        let token = try SignedToken(text)
        // Before anything is fetched for it: a stranger's token has another issuer.
        let now = clock()
        let claims = try TokenClaims(token.claims, settings, now: now)
        guard let key = try await key(token.keyID, for: token.algorithm) else {
            throw SignedToken.Fault(reason: "the issuer has no such key")
        }
        guard key.verifies(token.signature, of: token.message) else {
            throw SignedToken.Fault(reason: "the token's signature is not the issuer's")
        }
        return (claims, .seconds(claims.expires - now))
    }

    private func key(_ id: String?, for algorithm: SignatureKey.Algorithm) async throws(Problem) -> SignatureKey? {
        for attempt in 0..<2 {
            switch state.withLock({ $0.keys.find(id, for: algorithm, now: .now) }) {
            case .key(let key): return key
            case .none: return nil
            case .wait where attempt == 0: try await fetched()
            // Another fetch has begun meanwhile: who has waited for one waits no longer.
            case .wait: throw Self.unavailable("the issuer's keys are being fetched", retryAfter: .seconds(1))
            case .unavailable: throw Self.unavailable("the issuer's keys could not be had", retryAfter: .seconds(5))
            }
        }
        return nil
    }

    /// Waits for the end of the next fetch. Throws where too many do already.
    private func fetched() async throws(Problem) {
        let hasWaited: Bool = await withCheckedContinuation { continuation in
            let isTaken = state.withLock { state in
                guard state.waiting.count < Self.maximumWaiting, !state.hasEnded else { return false }
                state.waiting.append(continuation)
                return true
            }
            if isTaken { wishInput.yield() } else { continuation.resume(returning: false) }
        }
        guard hasWaited else {
            throw Self.unavailable("too many wait for the issuer's keys", retryAfter: .seconds(1))
        }
    }

    private static func unavailable(_ detail: String, retryAfter: Duration) -> Problem {
        Problem(.issuerUnavailable, detail, retryAfter: retryAfter)
    }

    // MARK: - Fetching

    public func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await shutdown.requested() }
            group.addTask { await self.serve() }
            group.addTask { await self.remind() }
            await group.next()
            group.cancelAll()
        }
        state.withLock { $0.hasEnded = true }
        release()
    }

    private func serve() async {
        for await _ in wishes {
            let isDue = state.withLock { $0.keys.due(.now) <= .now || ($0.keys.mayFetch(.now) && !$0.waiting.isEmpty) }
            if isDue { await fetch() }
            release()
        }
    }

    /// Has the keys fetched when they are old.
    private func remind() async {
        while !Task.isCancelled {
            wishInput.yield()
            let due = state.withLock { $0.keys.due(.now) }
            try? await Task.sleep(for: max(due - .now, .seconds(1)))
        }
    }

    func fetch() async {
        state.withLock { $0.keys.begin(.now) }
        fetches.add()
        var keys: SignatureKeySet?
        do {
            var request = ClientRequest(.get, settings.keysURL, headers: ["accept": "application/json"])
            var limits = TransferLimits()
            (limits.whole, limits.connect, limits.body) = (Self.patience, Self.patience, Self.longestAnswer)
            request.limits = limits
            let answer = try await client.collect(request)
            keys = answer.status == .ok ? SignatureKeySet(answer.body) : nil
            if keys?.isEmpty ?? true {
                keys = nil
                logger.warning("the token issuer's answer has no keys", ["http.status": .int(answer.status.code)])
            }
        } catch {
            logger.warning("the token issuer's keys could not be fetched", ["error": .describing(error)])
        }
        if keys == nil { failures.add() }
        state.withLock { [keys] in $0.keys.end(keys) }
    }

    /// Lets those go on who wait.
    func release() {
        let waiting = state.withLock { state in
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(returning: true) }
    }
}
