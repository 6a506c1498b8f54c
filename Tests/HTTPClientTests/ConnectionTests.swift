import EventLoop
import Glibc
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Synchronization
import TestSupport
import Testing

@testable import HTTPClient

@Suite("HTTP client: connections")
struct ConnectionTests {
    @Test("One connection serves requests that follow each other, whole bodies and none")
    func reuse() async throws {
        let post = route(.post, "/post") { request in
            .text(.ok, "\(try await request.body.collect(limit: 1000).count)")
        }
        try await Bench.run([hello, post]) { bench in
            for _ in 0..<50 {
                let response = try await bench.get("/hello")
                #expect(response.text == "hello")
            }
            _ = try await bench.client.collect(ClientRequest(.head, bench.url("/hello")))
            let body = ClientRequest(.post, bench.url("/post"), body: .bytes([1, 2, 3]))
            let text = try await bench.client.collect(body).text
            #expect(text == "3" && bench.metric("connections_opened_total") == 1)
        }
    }

    @Test("Requests at the same time have connections of their own, which later ones use")
    func parallel() async throws {
        let arrived = Tally()
        let all = Gate()
        let together = route(.get, "/together") { _ in
            if arrived.add() == 10 { all.open() }
            await all.passed()
            return .text(.ok, "done")
        }
        try await Bench.run([together, hello]) { bench in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<10 { group.addTask { _ = try await bench.get("/together") } }
                try await group.waitForAll()
            }
            #expect(bench.metric("connections_opened_total") == 10)
            for _ in 0..<20 { _ = try await bench.get("/hello") }
            #expect(bench.metric("connections_opened_total") == 10)
        }
    }

    @Test("No more connections are kept than may be")
    func idle() async throws {
        let arrived = Tally()
        let rounds = [Gate(), Gate()]
        let together = route(.get, "/together") { _ in
            let count = arrived.add()
            let round = rounds[(count - 1) / 5]
            if count % 5 == 0 { round.open() }
            await round.passed()
            return .text(.ok, "done")
        }
        try await Bench.run([together], settings: { $0.idleConnections = 2 }) { bench in
            for _ in 0..<2 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<5 { group.addTask { _ = try await bench.get("/together") } }
                    try await group.waitForAll()
                }
            }
            // Five at a time, twice, with two of the first five.
            #expect(bench.metric("connections_opened_total") == 8)
        }
    }

    @Test("A connection that the server has closed is replaced, a request that can be repeated is")
    func closedByServer() async throws {
        var limits = HTTPLimits()
        limits.requestsPerConnection = 1
        try await Bench.run([hello], limits: limits) { bench in
            for _ in 0..<10 {
                let response = try await bench.get("/hello")
                #expect(response.text == "hello")
            }
            #expect(bench.metric("connections_opened_total") == 10)
        }
    }

    @Test("A connection that was opened under one client's policy is never another's")
    func policies() async throws {
        try await Bench.run([hello]) { bench in
            _ = try await bench.get("/hello")
            let strict = HTTPClient(
                on: bench.loop, resolver: FixedNames([:]), logger: .silent, metrics: MetricsRegistry())
            let url = bench.url("/hello")
            let stop = ShutdownSignal()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await strict.run(until: stop) }
                let code = await reason { _ = try await strict.collect(ClientRequest(.get, url)) }
                #expect(code == .addressRefused)
                stop.request()
                try await group.waitForAll()
            }
            _ = try await bench.get("/hello")
            #expect(bench.metric("connections_opened_total") == 1)
        }
    }

    @Test("1,000 transfers at a time, and the loop's other work goes on between them")
    func thousand() async throws {
        let count = 1000 / Sanitizer.slowdown
        let arrived = Tally()
        let all = Gate()
        let together = route(.get, "/together/{number}") { request in
            if arrived.add() == count { all.open() }
            await all.passed()
            return .text(.ok, request.parameter("number"))
        }
        try await Bench.run(
            [together],
            settings: {
                $0.transfers = count
                $0.transfersPerOrigin = count
                $0.idleConnections = count
            }
        ) { bench in
            let turns = Tally()
            let before = bench.loop.statistics.polls
            try await withThrowingTaskGroup(of: Bool?.self) { group in
                // What else the loop has to do: a task that is made ready once a turn.
                group.addTask(executorPreference: bench.loop) {
                    while !Task.isCancelled {
                        turns.add()
                        await Task.yield()
                    }
                    return nil
                }
                for number in 0..<count {
                    group.addTask { try await bench.get("/together/\(number)").text == "\(number)" }
                }
                for _ in 0..<count {
                    let isRight = try await group.next()
                    #expect(isRight == true)
                }
                group.cancelAll()
            }
            // All were under way at once, or none would have been answered; and it took many turns of the loop, of
            // which the other task had its share: a yield takes two.
            let polls = bench.loop.statistics.polls - before
            #expect(arrived.value == count && bench.metric("connections_opened_total") == count)
            #expect(polls > count / 16)
            #expect(turns.value > polls / 3)
        }
    }

    @Test("A turn of the loop is short, however many transfers are ready")
    func shortTurns() async throws {
        let content = [UInt8](repeating: 1, count: 1 << 20)
        let big = route(.get, "/big") { _ in .bytes(.ok, "application/octet-stream", content) }
        try await Bench.run([big], settings: { $0.transfersPerOrigin = 100 }) { bench in
            let longest = try await withThrowingTaskGroup(of: Int?.self) { group in
                group.addTask(executorPreference: bench.loop) {
                    var longest = 0
                    var last = Self.threadMicroseconds
                    while !Task.isCancelled {
                        await Task.yield()
                        let now = Self.threadMicroseconds
                        longest = max(longest, now - last)
                        last = now
                    }
                    return longest
                }
                for _ in 0..<100 {
                    group.addTask {
                        _ = try await bench.get("/big")
                        return nil
                    }
                }
                for _ in 0..<100 { _ = try await group.next() }
                group.cancelAll()
                return try await group.next() ?? nil
            }
            // 100 MB in all take far longer than two turns of this length.
            #expect(try #require(longest) < 50_000 * Sanitizer.slowdown)
        }
    }

    /// The processor time of the calling thread: other threads do not count, however busy the machine is.
    private static var threadMicroseconds: Int {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000 + time.tv_nsec / 1000
    }
}
