/// A client's request for a WebSocket, understood (RFC 6455, section 4.2).
public struct WebSocketHandshake: Sendable, Hashable {
    /// `Sec-WebSocket-Accept`.
    public let accept: String
    /// The first of the client's subprotocols that the server speaks.
    public let subprotocol: String?
    /// What was agreed on about compression.
    public let deflate: PermessageDeflate?

    /// - Parameters:
    ///   - subprotocols: what the server speaks; one that the client does not name is not insisted on.
    ///   - compression: what the server would like; nil compresses nothing.
    ///
    /// Throws `upgrade_required` (426, with `Upgrade` and `Sec-WebSocket-Version`) where no WebSocket of version 13 is
    /// asked for, and `invalid_header` (400) where the handshake is malformed.
    public init(
        _ head: HTTPRequestHead, subprotocols: [String] = [], compression: PermessageDeflate.Preferences? = nil
    ) throws(Problem) {
        guard head.method == .get, head.version == .http11, head.has("upgrade", token: "websocket"),
            head.has("connection", token: "upgrade")
        else { throw Self.required("ask for it by Connection: Upgrade and Upgrade: websocket") }
        guard !head.hasBody else { throw Problem(.invalidHeader, "a handshake has no body") }
        let version = try Self.only("sec-websocket-version", of: head)
        guard version == "13" else {
            guard let number = UInt8(version), String(number) == version else {
                throw Problem(.invalidHeader, "Sec-WebSocket-Version is no number from 0 to 255")
            }
            throw Self.required("only version 13 is spoken here")
        }
        let key = try Self.only("sec-websocket-key", of: head)
        guard WebSocketAccept.isKey(key) else {
            throw Problem(.invalidHeader, "Sec-WebSocket-Key is not base64 of 16 octets")
        }
        guard let offers = ExtensionOffer.parse(head.values("sec-websocket-extensions")) else {
            throw Problem(.invalidHeader, "Sec-WebSocket-Extensions is malformed")
        }
        let offered = head.values("sec-websocket-protocol").flatMap(FieldScanner.list)
        guard offered.allSatisfy({ Octets.isToken($0.utf8) }), Set(offered).count == offered.count else {
            throw Problem(.invalidHeader, "Sec-WebSocket-Protocol is malformed")
        }
        accept = WebSocketAccept.value(for: key)
        subprotocol = offered.first(where: subprotocols.contains)
        deflate = compression.flatMap { PermessageDeflate.agree(offers, $0) }
    }

    /// The fields of the answer 101, but for `Connection: upgrade`.
    public var headers: HTTPHeaders {
        var headers: HTTPHeaders = ["upgrade": "websocket", "sec-websocket-accept": accept]
        headers["sec-websocket-protocol"] = subprotocol
        headers["sec-websocket-extensions"] = deflate?.answer
        return headers
    }

    private static func only(_ name: String, of head: HTTPRequestHead) throws(Problem) -> String {
        let values = head.values(name)
        guard values.count == 1 else {
            throw Problem(.invalidHeader, "a handshake has one \(name) field; this one has \(values.count)")
        }
        return values[0]
    }

    private static func required(_ detail: String) -> Problem {
        var problem = Problem(.upgradeRequired, "this is a WebSocket: \(detail)")
        problem.headers = ["upgrade": "websocket", "sec-websocket-version": "13"]
        return problem
    }
}
