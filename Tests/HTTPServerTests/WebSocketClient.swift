import EventLoop
import HTTP
import HTTPServer

/// A frame as the server sent it.
struct ServerFrame: Equatable {
    var opcode: UInt8
    var isCompressed = false
    var payload: [UInt8]

    var text: String { String(decoding: payload, as: UTF8.self) }
    var closeCode: Int? { payload.count < 2 ? nil : Int(payload[0]) << 8 | Int(payload[1]) }

    static func text(_ text: String) -> ServerFrame { ServerFrame(opcode: 1, payload: Array(text.utf8)) }
    static func pong(_ text: String) -> ServerFrame { ServerFrame(opcode: 10, payload: Array(text.utf8)) }

    /// The first frame in the octets, and how long it is; nil while it is not complete.
    static func parse(_ octets: ArraySlice<UInt8>) -> (ServerFrame, Int)? {
        guard octets.count >= 2 else { return nil }
        let start = octets.startIndex
        let short = Int(octets[start + 1])
        precondition(short < 128, "a server's frame is not masked")
        let extended = short < 126 ? 0 : short == 126 ? 2 : 8
        guard octets.count >= 2 + extended else { return nil }
        let number = octets[(start + 2)..<(start + 2 + extended)].reduce(0) { $0 << 8 | Int($1) }
        let length = extended == 0 ? short : number
        let total = 2 + extended + length
        guard octets.count >= total else { return nil }
        let payload = Array(octets[(start + 2 + extended)..<(start + total)])
        let first = octets[start]
        precondition(first & 0xB0 == 0x80, "a server's frame is final")
        return (ServerFrame(opcode: first & 0x0F, isCompressed: first & 0x40 != 0, payload: payload), total)
    }
}

/// The client's end of a WebSocket, frame by frame.
final class WebSocketClient {
    let client: TestClient
    private var octets: [UInt8] = []
    private var position = 0

    /// The request for a WebSocket, with more fields.
    static func request(_ path: String, _ fields: [String] = []) -> String {
        let all =
            [
                "GET \(path) HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
            ] + fields
        return all.joined(separator: "\r\n") + "\r\n\r\n"
    }

    init(_ client: TestClient) {
        self.client = client
    }

    /// Sends the handshake, with what is to follow it at once, and returns the answer.
    func open(
        _ path: String = "/socket", fields: [String] = [], followedBy frames: [UInt8] = []
    ) async throws -> Answer {
        try await client.send(Array(Self.request(path, fields).utf8) + frames)
        while true {
            if let (answer, length) = Answer.parse(octets) {
                octets.removeFirst(length)
                return answer
            }
            try await fill()
        }
    }

    static func frame(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, compressed: Bool = false) -> [UInt8] {
        let mask: [UInt8] = [0x37, 0xFA, 0x21, 0x3D]
        var head: [UInt8] = [(final ? 0x80 : 0) | (compressed ? 0x40 : 0) | opcode]
        switch payload.count {
        case ..<126: head.append(0x80 | UInt8(payload.count))
        case ..<65_536: head += [0xFE, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: head += [0xFF] + (0..<8).reversed().map { UInt8(truncatingIfNeeded: payload.count >> (8 * $0)) }
        }
        return head + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    static func text(_ text: String) -> [UInt8] { frame(1, Array(text.utf8)) }
    static func close(_ code: Int) -> [UInt8] { frame(8, [UInt8(code >> 8), UInt8(code & 255)]) }

    func send(_ frames: [UInt8]...) async throws { try await client.send(frames.flatMap { $0 }) }

    /// The server's next frame.
    func next() async throws -> ServerFrame {
        while true {
            if let (frame, length) = ServerFrame.parse(octets[position...]) {
                position += length
                if position == octets.count {
                    octets = []
                    position = 0
                }
                return frame
            }
            try await fill()
        }
    }

    /// The next frame that is no ping.
    func nextButPings() async throws -> ServerFrame {
        while true {
            let frame = try await next()
            if frame.opcode != 9 { return frame }
        }
    }

    /// Whether the server has ended the connection and sent nothing more.
    func isAtEnd() async throws -> Bool { try await client.receiveAll().isEmpty && position == octets.count }

    private func fill() async throws {
        let piece = try await client.receive()
        if piece.isEmpty { throw TestClient.Gone() }
        octets.append(contentsOf: piece)
    }
}

extension TestServer {
    /// A WebSocket to `/socket` of this server, opened.
    func openWebSocket(fields: [String] = []) async throws -> WebSocketClient {
        let socket = WebSocketClient(try connect())
        guard try await socket.open(fields: fields).status == 101 else { throw TestClient.Gone() }
        return socket
    }
}

/// A route at `/socket` that `handler` runs.
func webSocket(_ handler: @escaping WebSocket.Handler) -> Route {
    webSocket({ _ in }, handler)
}

func webSocket(_ change: (inout WebSocketOptions) -> Void, _ handler: @escaping WebSocket.Handler) -> Route {
    var options = WebSocketOptions()
    change(&options)
    let fixed = options
    return route(.get, "/socket") { try .webSocket($0, options: fixed, handler: handler) }
}

/// Sends back what comes.
let webSocketEcho: WebSocket.Handler = { socket in
    while let message = try await socket.receive() { try await socket.send(message) }
}
