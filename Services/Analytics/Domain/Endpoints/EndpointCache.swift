import HTTP
import Records
import Synchronization

/// Answers of endpoints that may be given again, and queries whose answer several calls wait for.
final class EndpointCache: Sendable {
    /// What makes two calls the same.
    struct Key: Hashable, Sendable {
        var workspaceID: Int64
        var endpointID: Int64
        /// A changed endpoint has another one, so nobody asks for answers of the one before.
        var version: Int32
        /// As `EndpointParameter.text(of:as:)` writes them.
        var values: [String?]
        var layout: AnswerLayout
        var numbers: NumberStyle
    }

    struct Answer: Sendable {
        let bytes: [UInt8]
        let tag: EntityTag
        /// When its query began.
        let made: ContinuousClock.Instant
    }

    /// What became of a query that several calls may wait for.
    enum Outcome: Sendable {
        case answered(Answer)
        case failed(any Error)
        /// The answer is so long that each call streams its own.
        case tooLong
        /// The call that ran the query has gone, and its query with it.
        case abandoned
    }

    enum Entrance: Sendable {
        case cached(Answer)
        /// Run the query and call `leave` whatever happens.
        case lead
        /// Another call runs it; its outcome is the stream's only element.
        case follow(AsyncStream<Outcome>)
    }

    private struct Guarded {
        var answers: CachedAnswers<Key, Answer>
        /// Those who wait for a query that runs.
        var flights: [Key: [AsyncStream<Outcome>.Continuation]] = [:]
    }

    /// The longest answer that calls may share. One that is kept takes 1/16 of the capacity at most.
    let longestAnswer: Int
    private let guarded: Mutex<Guarded>

    init(capacity: Int) {
        longestAnswer = capacity == 0 ? UserQuery.usualWholeSize : min(1 << 20, capacity / 16)
        guarded = Mutex(Guarded(answers: CachedAnswers(capacity: capacity)))
    }

    var size: (bytes: Int, count: Int) { guarded.withLock { ($0.answers.bytes, $0.answers.count) } }

    /// Calls that came while another ran their query, as long as it runs.
    var waiting: Int { guarded.withLock { $0.flights.values.reduce(0) { $0 + $1.count } } }

    func enter(_ key: Key, now: ContinuousClock.Instant = .now) -> Entrance {
        guarded.withLock { guarded in
            if let answer = guarded.answers.value(for: key, now: now) { return .cached(answer) }
            guard guarded.flights[key] != nil else {
                guarded.flights[key] = []
                return .lead
            }
            let (stream, continuation) = AsyncStream.makeStream(of: Outcome.self, bufferingPolicy: .bufferingNewest(1))
            guarded.flights[key]?.append(continuation)
            return .follow(stream)
        }
    }

    /// Ends what `enter` let begin. An answer is kept until `lifetime` after its query began.
    func leave(_ key: Key, _ outcome: Outcome, lifetime: Duration) {
        let followers = guarded.withLock { guarded in
            if case .answered(let answer) = outcome {
                guarded.answers.insert(
                    answer, for: key, bytes: Self.cost(key, answer), until: answer.made + lifetime)
            }
            return guarded.flights.removeValue(forKey: key) ?? []
        }
        for follower in followers {
            follower.yield(outcome)
            follower.finish()
        }
    }

    /// Bytes of an answer with its key and what holds them.
    private static func cost(_ key: Key, _ answer: Answer) -> Int {
        let values = key.values.reduce(0) { $0 + 16 + ($1?.utf8.count ?? 0) }
        // Two tables know the key.
        return answer.bytes.count + 2 * values + 512
    }
}
