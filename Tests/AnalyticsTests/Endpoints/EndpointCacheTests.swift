import HTTP
import Records
import Testing

@testable import Analytics

@Suite struct CachedAnswersTests {
    private let start = ContinuousClock.now

    private func answers(_ capacity: Int) -> CachedAnswers<Int, String> { CachedAnswers(capacity: capacity) }

    @Test func theOneUnusedForLongestLeavesFirst() {
        var answers = answers(30)
        let end = start + .seconds(9)
        for key in 1...3 { answers.insert("\(key)", for: key, bytes: 10, until: end) }
        let used = answers.value(for: 1, now: start)
        answers.insert("4", for: 4, bytes: 10, until: end)
        #expect(used == "1" && answers.count == 3 && answers.bytes == 30)
        let left = [1, 2, 3, 4].map { answers.value(for: $0, now: start) }
        #expect(left == ["1", nil, "3", "4"])
        answers.insert("large", for: 5, bytes: 31, until: end)
        #expect(answers.count == 3)
        answers.insert("all", for: 6, bytes: 30, until: end)
        #expect(answers.count == 1 && answers.bytes == 30)
    }

    @Test func whatIsOverIsNotGiven() {
        var answers = answers(100)
        answers.insert("a", for: 1, bytes: 10, until: start + .seconds(1))
        let before = answers.value(for: 1, now: start + .milliseconds(999))
        let after = answers.value(for: 1, now: start + .seconds(1))
        #expect(before == "a" && after == nil && answers.count == 0 && answers.bytes == 0)
        answers.insert("b", for: 1, bytes: 10, until: start + .seconds(2))
        answers.insert("c", for: 1, bytes: 20, until: start + .seconds(2))
        #expect(answers.bytes == 20 && answers.count == 1)
    }

    /// Against a list in the order of use, searched from the start.
    @Test func itIsWhatAListWouldBe() {
        var answers = answers(100)
        var model: [(key: Int, value: String, bytes: Int, end: ContinuousClock.Instant)] = []
        for step in 0..<20_000 {
            let now = start + .milliseconds(step)
            let key = Int.random(in: 0..<20)
            if Bool.random() {
                let found = answers.value(for: key, now: now)
                let place = model.firstIndex { $0.key == key }
                var expected: String?
                if let place {
                    let entry = model.remove(at: place)
                    if entry.end > now {
                        expected = entry.value
                        model.append(entry)
                    }
                }
                #expect(found == expected)
            } else {
                let bytes = Int.random(in: 1...40)
                let end = now + .milliseconds(Int.random(in: 1...60))
                answers.insert("\(step)", for: key, bytes: bytes, until: end)
                model.removeAll { $0.key == key }
                while model.reduce(bytes, { $0 + $1.bytes }) > 100 { model.removeFirst() }
                model.append((key, "\(step)", bytes, end))
            }
            #expect(answers.count == model.count && answers.bytes == model.reduce(0) { $0 + $1.bytes })
        }
    }
}

@Suite struct EndpointCacheTests {
    private static let lifetime = Duration.seconds(60)

    private func key(_ value: String?, endpoint: Int64 = 1, version: Int32 = 1) -> EndpointCache.Key {
        EndpointCache.Key(
            workspaceID: 1, endpointID: endpoint, version: version, values: [value], layout: .items, numbers: .plain)
    }

    private func answer(_ text: String, made: ContinuousClock.Instant = .now) -> EndpointCache.Answer {
        let bytes = Array(text.utf8)
        return EndpointCache.Answer(bytes: bytes, tag: EntityTag(content: bytes), made: made)
    }

    private func first(_ entrance: EndpointCache.Entrance) async -> EndpointCache.Outcome? {
        guard case .follow(let stream) = entrance else { return nil }
        for await outcome in stream { return outcome }
        return nil
    }

    @Test func oneLeadsAndTheOthersGetItsAnswer() async throws {
        let cache = EndpointCache(capacity: 1 << 20)
        guard case .lead = cache.enter(key("a")) else {
            Issue.record("the first does not lead")
            return
        }
        let followers = (0..<5).map { _ in cache.enter(key("a")) }
        guard case .lead = cache.enter(key("b")), case .lead = cache.enter(key("a", version: 2)),
            case .lead = cache.enter(key(nil)), case .lead = cache.enter(key("a", endpoint: 2))
        else {
            Issue.record("another question is answered by the first one's")
            return
        }
        cache.leave(key("a"), .answered(answer("x")), lifetime: Self.lifetime)
        for follower in followers {
            guard case .answered(let answer) = await first(follower) else {
                Issue.record("a follower gets nothing")
                return
            }
            #expect(answer.bytes == Array("x".utf8))
        }
        guard case .cached = cache.enter(key("a")) else {
            Issue.record("the answer is not kept")
            return
        }
        #expect(cache.size.count == 1 && cache.size.bytes > 1)
    }

    @Test func whatDidNotSucceedIsNotKept() async throws {
        let cache = EndpointCache(capacity: 1 << 20)
        for outcome in [EndpointCache.Outcome.abandoned, .tooLong, .failed(ClientGone())] {
            guard case .lead = cache.enter(key("a")) else {
                Issue.record("something is kept before \(outcome)")
                return
            }
            let follower = cache.enter(key("a"))
            cache.leave(key("a"), outcome, lifetime: Self.lifetime)
            let got = await first(follower)
            #expect(got.map { "\($0)" } == "\(outcome)")
        }
    }

    @Test func anAnswerIsAsOldAsItsQuery() {
        let cache = EndpointCache(capacity: 1 << 20)
        _ = cache.enter(key("a"))
        cache.leave(key("a"), .answered(answer("x", made: .now - .seconds(61))), lifetime: Self.lifetime)
        guard case .lead = cache.enter(key("a")) else {
            Issue.record("it is given after its time")
            return
        }
    }
}

@Suite struct EndpointQuestionsTests {
    @Test func whatIsShortAndRightIsReadOnce() throws {
        let questions = EndpointQuestions()
        var reads = 0
        func ask(_ query: String, accept: String? = nil) throws -> [String?] {
            let octets = EndpointQuestions.Octets(query: Array(query.utf8), accept: accept)
            return try questions.question(octets) {
                reads += 1
                if query == "wrong" { throw ParameterFault(message: query) }
                return EndpointQuestion(values: [query, accept], layout: .items, numbers: .plain)
            }.values
        }
        for (query, accept, expected) in [
            ("a", nil, 1), ("a", nil, 1), ("a", "text/csv", 2), ("a", "text/csv", 2), ("", nil, 3), ("a", nil, 3),
        ] as [(String, String?, Int)] {
            #expect(try ask(query, accept: accept) == [query, accept])
            #expect(reads == expected)
        }
        for _ in 0..<2 { #expect(throws: ParameterFault.self) { try ask("wrong") } }
        #expect(reads == 5)
        let long = String(repeating: "x", count: EndpointQuestions.longest + 1)
        for _ in 0..<2 { #expect(try ask(long) == [long, nil]) }
        #expect(reads == 7)
        // Past its capacity it begins anew.
        for number in 0..<EndpointQuestions.capacity { _ = try ask("\(number)") }
        _ = try ask("a", accept: "text/csv")
        #expect(reads == 7 + EndpointQuestions.capacity + 1)
    }
}
