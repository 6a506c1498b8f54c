import Testing

@testable import HTTP

@Suite struct WebSocketHandshakeTests {
    private static let fields: HTTPHeaders = [
        "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    ]

    private func handshake(
        _ method: HTTPMethod = .get, subprotocols: [String] = [], compression: PermessageDeflate.Preferences? = nil,
        bodyLength: Int? = nil, changing change: (inout HTTPHeaders) -> Void = { _ in }
    ) throws -> WebSocketHandshake {
        var headers = Self.fields
        change(&headers)
        let head = try HTTPRequestHead(method, "/chat", headers: headers, bodyLength: bodyLength)
        return try WebSocketHandshake(head, subprotocols: subprotocols, compression: compression)
    }

    private func refusal(
        _ method: HTTPMethod = .get, bodyLength: Int? = nil, changing change: (inout HTTPHeaders) -> Void
    ) throws -> Problem? {
        do {
            _ = try handshake(method, bodyLength: bodyLength, changing: change)
            return nil
        } catch let problem as Problem {
            return problem
        }
    }

    @Test func theExampleOfTheRFC() throws {
        let handshake = try handshake()
        #expect(handshake.accept == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        #expect(handshake.headers["upgrade"] == "websocket")
        #expect(handshake.headers["sec-websocket-accept"] == handshake.accept && handshake.headers.count == 2)
    }

    @Test func fieldsAreComparedWithoutCase() throws {
        _ = try handshake {
            $0["Upgrade"] = "foo/1, WebSocket"
            $0["Connection"] = "keep-alive, UPGRADE"
        }
    }

    @Test func whatAsksForNoWebSocket() throws {
        let changes: [(inout HTTPHeaders) -> Void] = [
            { $0["Upgrade"] = nil }, { $0["Upgrade"] = "h2c" }, { $0["Connection"] = nil },
            { $0["Connection"] = "keep-alive" }, { $0["Sec-WebSocket-Version"] = "8" },
            { $0["Sec-WebSocket-Version"] = "0" }, { $0["Sec-WebSocket-Version"] = "255" },
        ]
        for change in changes {
            let problem = try #require(try refusal(changing: change))
            #expect(problem.code == .upgradeRequired && problem.status.code == 426)
            let headers = problem.responseHeaders
            #expect(headers["upgrade"] == "websocket" && headers["sec-websocket-version"] == "13")
        }
        for method in [HTTPMethod.post, .head, .options] {
            #expect(try refusal(method) { _ in }?.code == .upgradeRequired)
        }
    }

    @Test func whatIsMalformed() throws {
        let changes: [(inout HTTPHeaders) -> Void] = [
            { $0["Sec-WebSocket-Version"] = nil }, { $0["Sec-WebSocket-Version"] = "013" },
            { $0["Sec-WebSocket-Version"] = "256" }, { $0["Sec-WebSocket-Version"] = "x" },
            { $0.add("Sec-WebSocket-Version", "13") }, { $0["Sec-WebSocket-Key"] = nil },
            { $0["Sec-WebSocket-Key"] = "" }, { $0["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=" },
            { $0["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZR==" }, { $0["Sec-WebSocket-Key"] = "AAAA" },
            { $0["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZ!==" },
            { $0.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==") },
            { $0["Sec-WebSocket-Protocol"] = "a, b, a" }, { $0["Sec-WebSocket-Protocol"] = "a b" },
            { $0["Sec-WebSocket-Extensions"] = "=1" }, { $0["Sec-WebSocket-Extensions"] = "a; b=" },
            { $0["Sec-WebSocket-Extensions"] = "a;" }, { $0["Sec-WebSocket-Extensions"] = "a b" },
        ]
        for (index, change) in changes.enumerated() {
            let problem = try #require(try refusal(changing: change), "case \(index)")
            #expect(problem.code == .invalidHeader && problem.status.code == 400, "case \(index)")
        }
        #expect(try refusal(bodyLength: 1) { _ in }?.code == .invalidHeader)
        #expect(try refusal(bodyLength: 0) { _ in } == nil)
    }

    @Test func subprotocols() throws {
        let offer: (inout HTTPHeaders) -> Void = {
            $0["Sec-WebSocket-Protocol"] = "chat, superchat"
            $0.add("Sec-WebSocket-Protocol", "third")
        }
        #expect(try handshake(subprotocols: ["third", "superchat"], changing: offer).subprotocol == "superchat")
        #expect(try handshake(subprotocols: ["third"], changing: offer).headers["sec-websocket-protocol"] == "third")
        #expect(try handshake(subprotocols: ["other"], changing: offer).subprotocol == nil)
        #expect(try handshake(changing: offer).headers["sec-websocket-protocol"] == nil)
    }

    /// An offer, and what is answered; nil declines it.
    private static let offers: [(String, String?)] = [
        ("permessage-deflate", ""),
        ("x-other, permessage-deflate", ""),
        ("permessage-deflate; server_no_context_takeover", "; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", "; client_no_context_takeover"),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; client_max_window_bits=10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=\"8\"", "; client_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits = 9", "; server_max_window_bits=9"),
        (
            "permessage-deflate; server_max_window_bits=10; client_no_context_takeover",
            "; client_no_context_takeover; server_max_window_bits=10"
        ),
        // zlib cannot compress with a window of 8 bits: the next offer is taken.
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", ""),
        ("permessage-deflate; server_max_window_bits=8", nil),
        ("permessage-deflate; server_max_window_bits", nil),
        ("permessage-deflate; server_max_window_bits=16", nil),
        ("permessage-deflate; server_max_window_bits=7", nil),
        ("permessage-deflate; server_max_window_bits=09", nil),
        ("permessage-deflate; client_max_window_bits=+9", nil),
        ("permessage-deflate; client_max_window_bits=", nil),
        ("permessage-deflate; server_no_context_takeover=1", nil),
        ("permessage-deflate; client_no_context_takeover=\"\"", nil),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", nil),
        ("permessage-deflate; unknown", nil),
        ("x-webkit-deflate-frame", nil),
    ]

    @Test func compressionIsAgreedOn() throws {
        for (offer, answer) in Self.offers {
            let handshake = try? handshake(compression: .init()) { $0["Sec-WebSocket-Extensions"] = offer }
            let expected = answer.map { "permessage-deflate" + $0 }
            #expect(handshake?.headers["sec-websocket-extensions"] == expected, "\(offer)")
        }
        let deflate: (inout HTTPHeaders) -> Void = { $0["Sec-WebSocket-Extensions"] = "permessage-deflate" }
        #expect(try handshake(changing: deflate).deflate == nil)
        var preferences = PermessageDeflate.Preferences()
        preferences.serverTakesOver = false
        preferences.clientTakesOver = false
        preferences.clientWindowBits = 9
        let agreed = try #require(try handshake(compression: preferences, changing: deflate).deflate)
        #expect(agreed.answer == "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        #expect(agreed.clientWindowBits == 15)
    }
}
