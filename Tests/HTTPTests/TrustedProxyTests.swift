import HTTP
import Testing

@Suite struct TrustedProxyTests {
    private let proxies = TrustedProxies(
        ["127.0.0.0/8", "::1", "10.0.0.0/8", "2001:db8::/32"].compactMap { AddressRange($0) })

    private func client(_ peer: String, _ forwarded: String...) throws -> String {
        var headers = HTTPHeaders()
        for value in forwarded { headers.add("X-Forwarded-For", value) }
        return proxies.client(of: try HTTPRequestHead(.get, "/", headers: headers), peer: peer)
    }

    @Test(
        arguments: [
            // Nobody between.
            ("192.0.2.1", [], "192.0.2.1"), ("10.0.0.1", [], "10.0.0.1"), ("", ["192.0.2.9"], ""),
            // A peer that is not trusted says what it likes.
            ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"), ("192.0.2.1", ["10.0.0.1"], "192.0.2.1"),
            // One proxy, and what the client wrote before it.
            ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"), ("::1", ["203.0.113.7, 198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", ["10.0.0.9,198.51.100.1"], "198.51.100.1"),
            // Several proxies, on one line and on several.
            ("127.0.0.1", ["203.0.113.7, 198.51.100.1, 10.0.0.2,10.0.0.3"], "198.51.100.1"),
            ("127.0.0.1", ["203.0.113.7", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("127.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            // Spellings.
            ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"), ("127.0.0.1", ["[2001:DB9::1]:80"], "2001:db9::1"),
            ("127.0.0.1", ["[2001:db9::1]"], "2001:db9::1"), ("127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
            ("127.0.0.1", [" , 198.51.100.1 ,, "], "198.51.100.1"),
            // What is no address ends the walk where it is.
            ("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"),
            ("127.0.0.1", ["198.51.100.1, x, 10.0.0.2"], "10.0.0.2"),
            ("127.0.0.1", ["198.51.100.1, 010.0.0.1"], "127.0.0.1"), ("127.0.0.1", ["\"198.51.100.1\""], "127.0.0.1"),
            ("127.0.0.1", ["198.51.100.1:x"], "127.0.0.1"), ("127.0.0.1", ["[198.51.100.1]"], "127.0.0.1"),
        ] as [(String, [String], String)])
    func walksFromTheRightThroughTrustedHops(_ peer: String, _ forwarded: [String], _ client: String) throws {
        var headers: HTTPHeaders = ["Forwarded": "for=203.0.113.99"]
        for value in forwarded { headers.add("X-Forwarded-For", value) }
        #expect(proxies.client(of: try HTTPRequestHead(.get, "/", headers: headers), peer: peer) == client)
    }

    @Test func walksThroughSoManyHopsAndNoMore() throws {
        let hops = Array(repeating: "10.0.0.1", count: TrustedProxies.hopLimit).joined(separator: ",")
        #expect(try client("127.0.0.1", "198.51.100.1," + hops) == "10.0.0.1")
        #expect(try client("127.0.0.1", "198.51.100.1," + hops.dropFirst(9)) == "198.51.100.1")
    }

    @Test func nobodyIsBelievedBySetting() throws {
        let head = try HTTPRequestHead(.get, "/", headers: ["X-Forwarded-For": "198.51.100.1"])
        #expect(TrustedProxies.none.client(of: head, peer: "127.0.0.1") == "127.0.0.1")
        #expect(TrustedProxies.loopback.client(of: head, peer: "127.0.0.1") == "198.51.100.1")
        #expect(TrustedProxies.loopback.client(of: head, peer: "10.0.0.1") == "10.0.0.1")
    }

    @Test(arguments: [
        "https://a.example", "http://localhost:3000", "https://[::1]:8443", "https://192.0.2.1", "app+x://b",
        "http://a.example:443",
    ])
    func readsOrigins(_ text: String) {
        #expect(WebOrigin(text)?.text == text)
    }

    @Test(arguments: [
        "", "null", "*", "a.example", "https://", "https://a.example/", "https://A.example", "HTTPS://a.example",
        "https://a.example:443", "http://a.example:80", "https://u@a.example", "https://a.example:", "https:/a",
        "https://a b", "://a", "1x://a", "https://[::1", "https://*.example/",
    ])
    func refusesOrigins(_ text: String) {
        #expect(WebOrigin(text) == nil)
    }

    @Test(
        arguments: [
            ("127.0.0.1", ["https"], true), ("127.0.0.1", ["HTTPS"], true), ("10.1.2.3", ["https, http"], true),
            ("127.0.0.1", ["http"], false), ("127.0.0.1", ["http, https"], false), ("127.0.0.1", [], false),
            ("127.0.0.1", ["httpsx"], false), ("192.0.2.1", ["https"], false), ("", ["https"], false),
        ] as [(String, [String], Bool)])
    func onlyATrustedProxySaysThatItWasHTTPS(_ peer: String, _ said: [String], _ isSecure: Bool) throws {
        var headers = HTTPHeaders()
        for value in said { headers.add("X-Forwarded-Proto", value) }
        let head = try HTTPRequestHead(.get, "/", headers: headers)
        #expect(proxies.saysHTTPS(head, peer: peer) == isSecure)
        #expect(!TrustedProxies.none.saysHTTPS(head, peer: peer))
    }
}
