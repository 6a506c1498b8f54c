import Access
import EventLoop
import HTTP
import HTTPServer
import JSON
import Observability
import Postgres
import Queue
import Synchronization
import TestSupport

@testable import Store

/// Keeps what is streamed.
final class CollectingSink: ResponseSink {
    let bytes = Mutex<[UInt8]>([])

    func write(_ bytes: [UInt8]) async throws { self.bytes.withLock { $0 += bytes } }
}

/// The store's routes behind authentication, without a socket.
struct StoreClient: Sendable {
    private let application: Application
    private let key: String

    init(_ pool: PostgresPool, key: String = StoreDatabase.adminKey) throws {
        let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
        let routes = StoreRoutes(pool: pool, wakeup: wakeup).routes
        let metrics = MetricsRegistry()
        application = Application(
            router: Router(routes: routes),
            middleware: [AuthenticationMiddleware(keys: StoredKeys(pool), metrics: metrics)], metrics: metrics)
        self.key = key
    }

    private init(_ application: Application, key: String) {
        self.application = application
        self.key = key
    }

    /// The same process, asked by another key.
    func with(key: String) -> StoreClient { StoreClient(application, key: key) }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        var json: JSONValue { (try? JSONValue.parse(text)) ?? .null }
        var code: String? { json["code"]?.string }
        var items: [JSONValue] { json["items"]?.array ?? [] }
    }

    func get(_ target: String, query: [(String, String)] = [], headers: HTTPHeaders = [:]) async throws -> Answer {
        let text = query.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&")
        return try await send(.get, text.isEmpty ? target : "\(target)?\(text)", headers, nil)
    }

    func put(_ target: String, _ body: JSONValue, headers: HTTPHeaders = [:]) async throws -> Answer {
        var headers = headers
        headers["content-type"] = "application/json"
        return try await send(.put, target, headers, body.serialized())
    }

    func post(_ target: String, _ body: JSONValue, headers: HTTPHeaders = [:]) async throws -> Answer {
        var headers = headers
        headers["content-type"] = "application/json"
        return try await send(.post, target, headers, body.serialized())
    }

    func delete(_ target: String) async throws -> Answer {
        try await send(.delete, target, [:], nil)
    }

    private func send(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: [UInt8]?
    ) async throws -> Answer {
        var headers = headers
        headers["authorization"] = "Bearer \(key)"
        let head = try HTTPRequestHead(method, target, headers: headers, bodyLength: body?.count)
        let context = RequestContext(head, logger: .silent, peerAddress: "192.0.2.1")
        let request = Request(head, body: RequestBody(body ?? []), context: context)
        return try await Self.answer(await application.respond(to: request))
    }

    /// A response of which nothing has been read yet: a stream is still to run.
    func open(_ target: String) async throws -> Response {
        let head = try HTTPRequestHead(.get, target, headers: ["authorization": "Bearer \(key)"], bodyLength: nil)
        let context = RequestContext(head, logger: .silent, peerAddress: "192.0.2.1")
        return await application.respond(to: Request(head, body: RequestBody([UInt8]()), context: context))
    }

    /// A response, read to its end.
    static func answer(_ response: Response) async throws -> Answer {
        var text = ""
        switch response.body {
        case .bytes(let bytes): text = String(decoding: bytes, as: UTF8.self)
        case .stream(let write):
            let sink = CollectingSink()
            do { try await write(ResponseWriter(sink)) } catch {
                sink.bytes.withLock { $0 += Array("<broken off>".utf8) }
            }
            text = String(decoding: sink.bytes.withLock { $0 }, as: UTF8.self)
        default: break
        }
        return Answer(status: Int(response.status.code), headers: response.headers, text: text)
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let digits = String(byte, radix: 16)
            return "%" + (byte < 16 ? "0" : "") + digits
        }.joined()
    }
}
