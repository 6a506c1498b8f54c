import HTTP
import HTTPServer
import JSON
public import Lifecycle
public import Observability
public import Postgres
import Synchronization

/// Holds keys to their limits, and keeps count of their quotas in `millrace.key_use` once a second at most, while
/// there is something to count.
///
/// How exact that is: `requests_per_second` is counted by each process by itself, so that a key may reach its rate in
/// each of them. Quotas are counted over all processes, each of which knows what the others have seen a second ago; so
/// a key may exceed one by what all take in within a second, and by what a process had not yet told when it was killed.
/// Within a process no octet is taken in beyond a quota, however many bodies come at a time: a length that is announced
/// is reserved, and a body without one ends where the quota does. With the database away each process goes on from what
/// it knew.
public final class KeyMeter: Service {
    /// How long a process gathers what it tells the database.
    static let interval = Duration.seconds(1)

    public let name = "key meter"
    private let pool: PostgresPool?
    private let logger: Logger
    private let state = Mutex(KeyMeterState())
    private let refused: Counter
    private let signal: AsyncStream<Void>
    private let signalInput: AsyncStream<Void>.Continuation

    /// Without a pool what is counted stays in the process.
    public init(_ pool: PostgresPool?, logger: Logger, metrics: MetricsRegistry) {
        self.pool = pool
        self.logger = logger
        refused = metrics.counter(
            "millrace_key_limits_total", help: "Requests refused because a limit of their key was used up.")
        (signal, signalInput) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Counts a request of a key with limits, and its body as it comes; its answer says in `RateLimit` how much is left
    /// (draft-ietf-httpapi-ratelimit-headers). Throws `rate_limited` where a limit is used up.
    func admit(_ principal: Principal, _ request: inout Request, now: ContinuousClock.Instant) throws(Problem) {
        let (key, limits) = (principal.keyID, principal.limits)
        let announced = request.body.contentLength
        do throws(KeyMeterState.Refusal) {
            let readings = try state.withLock { state throws(KeyMeterState.Refusal) in
                try state.admit(key, limits, announced: announced, now: now)
            }
            request.context.answerFields["ratelimit-policy"] = readings.map(\.policy).joined(separator: ", ")
            request.context.answerFields["ratelimit"] = readings.map(\.text).joined(separator: ", ")
        } catch {
            refused.add()
            throw error.problem
        }
        if let limit = limits.bytesPerDay {
            let allowance = BodyAllowance(self, key: key, limit: limit, reserved: announced ?? 0)
            request.body = try request.body.counted { (octets: Int) throws(Problem) in try allowance.take(octets) }
        }
        if limits.hasQuota { signalInput.yield() }
    }

    /// Counts octets that came otherwise than in a request's body. Throws `rate_limited` once the quota is used up.
    func admit(octets: Int, _ principal: Principal, now: ContinuousClock.Instant) throws(Problem) {
        guard let limit = principal.limits.bytesPerDay else { return }
        let quota = KeyLimits(bytesPerDay: limit)
        do throws(KeyMeterState.Refusal) {
            try state.withLock { state throws(KeyMeterState.Refusal) in
                _ = try state.admit(principal.keyID, quota, announced: octets, now: now)
                try state.take(octets, reserved: octets, of: principal.keyID, within: limit, now: now)
            }
        } catch {
            refused.add()
            throw error.problem
        }
        signalInput.yield()
    }

    /// Counts octets of a body that have come, of which `reserved` at most were reserved. Throws `rate_limited` where
    /// they are more than what is left.
    func take(_ octets: Int, reserved: Int, of key: Int64, within limit: Int) throws(Problem) {
        do throws(KeyMeterState.Refusal) {
            try state.withLock { state throws(KeyMeterState.Refusal) in
                try state.take(octets, reserved: reserved, of: key, within: limit, now: .now)
            }
        } catch {
            refused.add()
            throw error.problem
        }
        signalInput.yield()
    }

    /// Gives back what was reserved and has not come.
    func release(_ octets: Int, of key: Int64) { state.withLock { $0.release(octets, of: key) } }

    /// Takes what was read with a key.
    func learn(_ day: DayUse, of principal: Principal, now: ContinuousClock.Instant) {
        state.withLock { $0.learn(day, of: principal.keyID, now: now) }
    }

    // MARK: - Telling the database

    public func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await shutdown.requested() }
            group.addTask {
                for await _ in self.signal {
                    guard (try? await Task.sleep(for: Self.interval)) != nil else { return }
                    await self.tell()
                }
            }
            await group.next()
            group.cancelAll()
        }
        await tell()
    }

    func tell() async {
        let uses = state.withLock { $0.tell() }
        guard !uses.isEmpty, let pool else { return state.withLock { $0.told(uses.isEmpty ? [:] : nil, now: .now) } }
        do {
            let statement = AddKeyUse(uses: uses)
            let rows = try await pool.withConnection { try await $0.query(statement, timeout: .seconds(5)) }
            let answer = Dictionary(rows.map { ($0.key, $0.day) }) { $1 }
            state.withLock { $0.told(answer, now: .now) }
        } catch {
            logger.debug("the use of keys could not be told", ["error": .describing(error)])
            state.withLock { $0.told(nil, now: .now) }
            signalInput.yield()
        }
    }
}

extension KeyMeterState.Reading {
    fileprivate var policy: String {
        "\"\(name)\";q=\(limit);w=\(window)" + (unit.map { ";qu=\"\($0)\"" } ?? "")
    }

    fileprivate var text: String { "\"\(name)\";r=\(left);t=\(max(1, reset.components.seconds))" }
}

extension KeyMeterState.Refusal {
    fileprivate var problem: Problem {
        Problem(
            .rateLimited, "the key's limit of \(allowed) \(limit) is used up", retryAfter: wait,
            extensions: [("limit", .string(limit)), ("allowed", .number(allowed))])
    }
}
