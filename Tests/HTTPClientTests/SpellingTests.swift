import EventLoop
import Glibc
import HTTP
import HTTPServer
import Synchronization
import Testing

@testable import HTTPClient

/// What `getaddrinfo` makes of the spellings of addresses, without asking any name server; and `localhost`.
private struct NumericNames: NameResolver {
    func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void) {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_NUMERICHOST
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let isLocal = ["localhost", "localhost."].contains(name) || name.hasSuffix(".localhost")
        guard unsafe getaddrinfo(isLocal ? "127.0.0.1" : name, nil, &hints, &list) == 0 else { return done([]) }
        defer { unsafe freeaddrinfo(list) }
        var text = [CChar](repeating: 0, count: 64)
        guard let entry = unsafe list?.pointee else { return done([]) }
        unsafe getnameinfo(entry.ai_addr, entry.ai_addrlen, &text, 64, nil, 0, NI_NUMERICHOST)
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        done(IPAddress(String(decoding: bytes, as: UTF8.self)).map { [$0] } ?? [])
    }
}

/// Spellings of 127.0.0.1 that lead there if loopback is open.
private let loopbackSpellings = [
    "127.0.0.1", "127.1", "127.0.1", "0177.0.0.1", "0177.0.0.01", "0x7f.0.0.1", "0x7F.0x0.0x0.0x1", "0x7f.1",
    "2130706433", "0x7f000001", "017700000001", "0x0000000000007f000001", "127.0.0.0x1", "127.000.000.001",
    "%31%32%37.0.0.1", "%30x7f%2e1", "LOCALHOST", "localhost", "localhost.",
    "a.localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:FFFF:7F00:0001]", "[::1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
]

/// Others that must not be connected to: one of each kind at least, in spellings of their own.
private let otherSpellings = [
    "0", "0.0.0.0", "0x0", "00000000000", "[::]", "[0::0]", "127.255.255.254", "127.0.0.2", "10.0.0.1", "0xa.1",
    "012.0.0.1", "167772161", "172.16.0.1", "172.31.255.255", "0xAC100001", "192.168.0.1", "0xc0a80001",
    "192.168.257", "3232235521", "100.64.0.1", "100.100.100.200", "169.254.169.254", "0xa9fea9fe", "2852039166",
    "0251.0376.0251.0376", "169.254.43518", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "192.0.0.192",
    "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250",
    "240.0.0.1", "255.255.255.255", "4294967295", "0xffffffff", "168.63.129.16", "[::127.0.0.1]", "[::7f00:1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]",
    "[2002:c0a8:101::1]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]",
    "[2001:db8::1]", "[3fff::1]", "[2001::1]", "[2001:2::1]", "[100::1]", "[5f00::1]", "[4000::1]",
]

@Suite("HTTP client: spellings of addresses")
struct SpellingTests {
    private func get(_ bench: Bench, _ host: String) async -> HTTPClientError.Code? {
        await reason { _ = try await bench.get("/hello", host: host) }
    }

    @Test("None gets through by default: refused at the socket, none opened")
    func refused() async throws {
        let spellings = loopbackSpellings + otherSpellings
        #expect(Set(spellings).count >= 80)
        let reached = Tally()
        let secret = route(.get, "/hello") { _ in
            reached.add()
            return .text(.ok, "secret")
        }
        try await Bench.run(
            [secret], at: ["127.0.0.1", "::1"], settings: { $0.addresses = AddressPolicy() }, resolver: NumericNames()
        ) { bench in
            for host in spellings {
                let code = await get(bench, host)
                #expect(code == .addressRefused, "\(host)")
            }
            #expect(bench.metric("addresses_refused_total") == spellings.count)
            #expect(bench.metric("connections_opened_total") == 0)
        }
        #expect(reached.value == 0)
    }

    /// The same spellings are understood, so the refusals above are the policy's.
    @Test("With loopback open each spelling of it leads there")
    func understood() async throws {
        try await Bench.run([hello], at: ["127.0.0.1", "::1"], resolver: NumericNames()) { bench in
            for host in loopbackSpellings {
                let code = await get(bench, host)
                #expect(code == nil, "\(host)")
            }
        }
    }

    @Test(
        "URLs that are no http or https URLs of a host, or have a user",
        arguments: [
            "", "/", "127.0.0.1", "//127.0.0.1/", "http://", "http:///", "http://:80/", "file:///etc/passwd",
            "ftp://127.0.0.1/", "gopher://127.0.0.1:25/x", "dict://127.0.0.1:11211/stat", "unix:///run/x.sock",
            "ws://127.0.0.1/", "javascript:alert(1)", "http://user@127.0.0.1/", "http://user:password@127.0.0.1/",
            "http://127.0.0.1@[::1]/", "http://127.0.0.1:0/", "http://127.0.0.1:65536/", "http://127.0.0.1:http/",
            "http://127.0.0.1 /", "http://127.0.0.1/a b", "http://127.0.0.1\r\nx: y/", "http://127.0.0.1/\r\nx: y",
            "http://[::1/", "http://[127.0.0.1]/", "http://[::1]x/", "http://a\\b/", "http://a b/", "http://a%00b/",
            "http://127.0.0.1\0.example.com/", "http://１２７.0.0.1/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/",
            "http://127．0．0．1/", "http://127.0.0%EF%BC%8E1/", "http://bücher.example/",
        ])
    func notRequested(_ url: String) async throws {
        try await Bench.run(resolver: NumericNames()) { bench in
            let code = await reason { _ = try await bench.client.collect(ClientRequest(.get, url)) }
            #expect(code == .invalidURL)
            #expect(bench.metric("connections_opened_total") == 0)
        }
    }

    @Test("A URL is what libcurl makes of it")
    func normalised() throws {
        let url = try RequestURL("HTTP://0X7F.1:8080/a/../b?c#d")
        #expect(url.text == "http://127.0.0.1:8080/b?c" && url.literal == IPAddress("127.0.0.1"))
        #expect(url.origin == "http://127.0.0.1:8080")
        let named = try RequestURL("https://EXAMPLE.com:443")
        #expect(named.host == "example.com" && named.port == 443 && named.literal == nil)
        #expect(named.origin == "https://example.com")
        #expect(try named.resolving("//other.test/x y").text == "https://other.test/x%20y")
        #expect(try named.resolving("../z?q").text.hasSuffix("/z?q"))
        #expect(try RequestURL("http://[2001:DB8::1]/").origin == "http://[2001:db8::1]")
    }

    @Test("A socket of another family gets no address, and so no connection")
    func otherFamilies() async throws {
        try await Bench.run { bench in
            let refused = try await bench.loop.run { () -> Bool in
                let settings = HTTPClientSettings.open
                let engine = try TransferEngine(
                    on: bench.loop, idleConnections: 1, metrics: HTTPClientMetrics(bench.metrics))
                defer { engine.close() }
                let request = ClientRequest(.get, "http://127.0.0.1/")
                let setup = TransferSetup(
                    request, to: try RequestURL(request.url), at: [], settings: settings,
                    connect: LoopInterval(.seconds(1)), whole: LoopInterval(.seconds(1)))
                let transfer = try Transfer(request, setup, on: engine)
                defer { transfer.abandon() }
                return !transfer.mayConnect(to: nil) && transfer.mayConnect(to: IPAddress("127.0.0.1"))
            }
            #expect(refused)
        }
    }
}

extension HTTPClientSettings {
    /// Everything opened.
    fileprivate static var open: HTTPClientSettings {
        var settings = HTTPClientSettings()
        settings.addresses = AddressPolicy(opening: ["0.0.0.0/0", "::/0"].compactMap { AddressRange($0) })
        return settings
    }
}
