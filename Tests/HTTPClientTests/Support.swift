import EventLoop
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Synchronization

@testable import HTTPClient

/// Loopback, opened on purpose: where the tests' servers are.
let loopback = AddressPolicy(opening: ["127.0.0.0/8", "::1"].compactMap { AddressRange($0) })

/// A client on a loop of its own, and a server on another one.
final class Bench: Sendable {
    let client: HTTPClient
    let loop: EventLoop
    let metrics: MetricsRegistry
    let port: UInt16
    /// Requests that the server at the trap's address was sent.
    let trapped: Tally
    /// Asks the client to stop.
    let shutdown: ShutdownSignal

    private init(
        client: HTTPClient, loop: EventLoop, metrics: MetricsRegistry, port: UInt16, trapped: Tally,
        shutdown: ShutdownSignal
    ) {
        self.trapped = trapped
        self.client = client
        self.loop = loop
        self.metrics = metrics
        self.port = port
        self.shutdown = shutdown
    }

    /// A URL of the server.
    func url(_ path: String = "/", host: String = "127.0.0.1") -> String { "http://\(host):\(port)\(path)" }

    func get(_ path: String = "/", host: String = "127.0.0.1") async throws(HTTPClientError) -> CollectedResponse {
        try await client.collect(ClientRequest(.get, url(path, host: host)))
    }

    /// The value of one of the client's metrics.
    func metric(_ name: String) -> Int {
        let text = String(decoding: metrics.render(), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("millrace_http_client_\(name) ") }
        return line.flatMap { Double($0.split(separator: " ")[1]) }.map { Int($0) } ?? -1
    }

    /// Runs `body`, on the client's loop, with a client and servers on one port: `routes` at each of `addresses`, and
    /// at `trap` one whose requests are only counted.
    static func run(
        _ routes: [Route] = [], at addresses: [String] = ["127.0.0.1"], trap: String? = nil,
        limits: HTTPLimits = HTTPLimits(), settings change: (inout HTTPClientSettings) -> Void = { _ in },
        resolver: any NameResolver = FixedNames(["localhost": ["127.0.0.1"]]),
        _ body: @Sendable (Bench) async throws -> Void
    ) async throws {
        var settings = HTTPClientSettings()
        settings.addresses = loopback
        change(&settings)
        let loops = try EventLoopGroup(count: 1, name: "client-test")
        let serverLoops = try EventLoopGroup(count: 1, name: "server-test")
        let trapped = Tally()
        let servers = try bind(addresses, trap, limits, on: serverLoops) { address in
            guard address == trap else { return routes }
            return routes.map { open in
                route(open.method, open.pattern) { _ in
                    trapped.add()
                    return .text(.ok, "trapped")
                }
            }
        }
        let metrics = MetricsRegistry()
        let client = HTTPClient(
            on: loops.loops[0], settings: settings, resolver: resolver, logger: .silent, metrics: metrics)
        let bench = Bench(
            client: client, loop: loops.loops[0], metrics: metrics, port: servers.port, trapped: trapped,
            shutdown: ShutdownSignal())
        let stop = ShutdownSignal()
        let result: Result<Void, any Error>
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for server in servers.servers { group.addTask { try await server.run(until: stop) } }
                group.addTask { try await client.run(until: bench.shutdown) }
                defer {
                    bench.shutdown.request()
                    stop.request()
                }
                try await bench.loop.run { try await body(bench) }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        loops.shutdown()
        serverLoops.shutdown()
        try result.get()
    }

    private static func bind(
        _ open: [String], _ trap: String?, _ limits: HTTPLimits, on loops: EventLoopGroup,
        _ routes: (String) -> [Route]
    ) throws -> (servers: [HTTPServer], port: UInt16) {
        let addresses = open + (trap.map { [$0] } ?? [])
        // The first takes a free port, which someone else may have at the other addresses.
        for _ in 0..<20 {
            var port: UInt16 = 0
            var servers: [HTTPServer] = []
            for address in addresses {
                let server = HTTPServer(
                    name: address, address: address, port: port, router: Router(routes: routes(address)), loops: loops,
                    limits: limits, logger: .silent, metrics: MetricsRegistry())
                guard let bound = try? server.bind() else { break }
                port = bound
                servers.append(server)
            }
            if servers.count == addresses.count { return (servers, port) }
        }
        throw HTTPServerError.bind(address: addresses.joined(separator: ","), port: 0, errno: 98)
    }
}

/// Names with addresses that do not change.
struct FixedNames: NameResolver {
    private let names: [String: [IPAddress]]

    init(_ names: [String: [String]]) {
        self.names = names.mapValues { $0.compactMap { IPAddress($0) } }
    }

    func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void) { done(names[name] ?? []) }
}

/// Names that a test resolves when it likes.
final class HeldNames: NameResolver {
    private let held = Mutex<[(name: String, done: @Sendable ([IPAddress]) -> Void)]>([])
    private let asked = Mutex<[(count: Int, gate: Gate)]>([])

    var names: [String] { held.withLock { $0.map(\.name) } }

    func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void) {
        let count = held.withLock { held in
            held.append((name, done))
            return held.count
        }
        for waiter in asked.withLock({ $0 }) where waiter.count <= count { waiter.gate.open() }
    }

    /// Waits until so many names have been asked for.
    func asked(_ count: Int) async {
        let gate = Gate()
        asked.withLock { $0.append((count, gate)) }
        if held.withLock({ $0.count }) >= count { return }
        await gate.passed()
    }

    func answer(_ index: Int, _ addresses: [String]) {
        held.withLock { $0[index].done }(addresses.compactMap { IPAddress($0) })
    }
}

/// A place where handlers wait for a test, and tests for a handler.
final class Gate: Sendable {
    private let signal = ShutdownSignal()
    func open() { signal.request() }
    func passed() async { await signal.requested() }
    var isOpen: Bool { signal.isRequested }
}

/// A number that handlers count up.
final class Tally: Sendable {
    private let count = Atomic(0)
    var value: Int { count.load(ordering: .acquiring) }
    @discardableResult
    func add(_ amount: Int = 1) -> Int { count.add(amount, ordering: .acquiringAndReleasing).newValue }
}

/// A route whose description does not matter.
func route(_ method: HTTPMethod, _ pattern: String, _ handler: @escaping Route.Handler) -> Route {
    Route(
        method, pattern, scope: nil, bodyLimit: 1 << 30,
        operation: Operation(
            id: "\(method) \(pattern)", summary: pattern, answers: [Operation.Answer(200, "Yes")]),
        handler: handler)
}

let hello = route(.get, "/hello") { _ in .text(.ok, "hello") }

/// The code of the error that `body` throws; nil if it throws none of the client's.
func reason(_ body: () async throws -> Void) async -> HTTPClientError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? HTTPClientError)?.code
    }
}

extension CollectedResponse {
    var text: String { String(decoding: body, as: UTF8.self) }
}
