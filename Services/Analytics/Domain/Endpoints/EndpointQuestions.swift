import Records
import Synchronization

/// What a call asks of an endpoint.
struct EndpointQuestion: Sendable {
    /// A value for each parameter, as `EndpointParameter.text(of:as:)` writes it; nil is NULL.
    var values: [String?]
    var layout: AnswerLayout
    var numbers: NumberStyle
}

/// Questions by the octets that they came in: calls repeat a few, and reading one takes a third of answering it from
/// the cache.
final class EndpointQuestions: Sendable {
    struct Octets: Hashable {
        var query: [UInt8]
        var accept: String?

        var count: Int { query.count + (accept?.utf8.count ?? 0) }
    }

    static let capacity = 256
    static let longest = 512

    private let known = Mutex<[Octets: EndpointQuestion]>([:])

    /// The question, made by `read` where it is not known. What `read` throws is not remembered.
    func question(
        _ octets: Octets, orRead read: () throws -> EndpointQuestion
    ) rethrows -> EndpointQuestion {
        if let question = known.withLock({ $0[octets] }) { return question }
        let question = try read()
        guard octets.count <= Self.longest else { return question }
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll() }
            known[octets] = question
        }
        return question
    }
}
