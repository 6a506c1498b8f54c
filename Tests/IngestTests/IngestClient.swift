import Access
import Catalog
import EventLoop
import HTTP
import HTTPServer
import JSON
import Observability
import Postgres
import Synchronization
import TestSupport

@testable import Ingest

/// Ingest's routes behind authentication, without a socket: what one process is.
struct IngestClient: Sendable {
    /// Time for what a process remembers of sources.
    final class Clock: Sendable {
        private let offset = Mutex(Duration.zero)

        func advance(_ duration: Duration) { offset.withLock { $0 += duration } }
        func now() -> ContinuousClock.Instant { .now + offset.withLock { $0 } }
    }

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        var json: JSONValue { (try? JSONValue.parse(text)) ?? .null }
        var code: String? { json["code"]?.string }
        var items: [JSONValue] { json["items"]?.array ?? [] }
    }

    let clock = Clock()
    private let application: Application
    private let key: String

    /// Enters a key with these scopes, and stands for a process with these settings.
    init(
        _ fixture: IngestFixture, _ settings: [String: String] = [:], scopes: [String] = ["admin"],
        workspaceID: Int64 = 1
    ) async throws {
        let key = try APIKey.generate()
        try await fixture.pool.run(
            """
            insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
            values (\(.int8(workspaceID)), 'test', '', \(.bytes(key.hash.bytes)), \(.textArray(scopes)))
            """)
        self.key = key.reveal()
        let (pool, policy, clock) = (fixture.pool, try SourcePolicy.standard(settings), clock)
        let listener = PostgresListener(
            channels: [], configuration: pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
        let sources = SourceDirectory(pool: pool, defaults: policy) { clock.now() }
        let reader = ReceiptReader(pool: pool)
        let admission = Admission(pool: pool, limits: .init(landingBytes: 1 << 40), metrics: fixture.metrics)
        let authentication = AuthenticationMiddleware(keys: StoredKeys(pool), metrics: MetricsRegistry())
        let streams = StreamIntake(
            pool: pool, coalescer: fixture.coalescer, sources: sources, admission: admission,
            memory: MemoryShare(budget: 1 << 20, maxRequests: 4), metrics: fixture.metrics,
            checkKey: { try await authentication.check($0, octets: $1) },
            watchKey: { try await authentication.watch($0) })
        let ingest = IngestRoute(
            sources: sources, admission: admission, intake: fixture.intake(), keys: IdempotencyKeys(pool: pool),
            receipts: reader,
            waiters: ReceiptWaiters(pool: pool, listener: listener, logger: .silent), bodyLimit: policy.maxBodyBytes)
        let routes = IngestRoutes(
            ingest: ingest, stream: StreamRoute(intake: streams), receipts: ReceiptRoutes(reader: reader),
            batches: BatchRoutes(pool: pool),
            sources: SourceRoutes(catalog: SourceCatalog(pool: pool, directory: sources), defaults: policy)
        ).routes
        application = Application(
            router: Router(routes: routes), middleware: [authentication], metrics: MetricsRegistry())
    }

    func get(_ target: String) async throws -> Answer { try await send(.get, target, [:], RequestBody()) }

    func delete(_ target: String, headers: HTTPHeaders = [:]) async throws -> Answer {
        try await send(.delete, target, headers, RequestBody())
    }

    func put(_ target: String, _ body: JSONValue, headers: HTTPHeaders = [:]) async throws -> Answer {
        var headers = headers
        headers["content-type"] = "application/json"
        return try await send(.put, target, headers, RequestBody(body.serialized()))
    }

    /// Sends NDJSON; in chunks without a length where asked for.
    func ingest(_ source: String, _ body: String, chunked: Bool = false) async throws -> Answer {
        let bytes = Array(body.utf8)
        let body = chunked ? RequestBody(OnePiece(bytes), contentLength: nil) : RequestBody(bytes)
        return try await send(.post, "/v1/ingest/\(source)", ["content-type": "application/x-ndjson"], body)
    }

    private func send(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: RequestBody
    ) async throws -> Answer {
        var headers = headers
        headers["authorization"] = "Bearer \(key)"
        let head = try HTTPRequestHead(method, target, headers: headers, bodyLength: body.contentLength)
        let context = RequestContext(head, logger: .silent, peerAddress: "192.0.2.1")
        let response = await application.respond(to: Request(head, body: body, context: context))
        var text = ""
        if case .bytes(let bytes) = response.body { text = String(decoding: bytes, as: UTF8.self) }
        return Answer(status: Int(response.status.code), headers: response.headers, text: text)
    }
}

/// A body that comes in one piece, of a length that is not announced.
private final class OnePiece: RequestBodySource {
    private let piece: Mutex<[UInt8]?>

    init(_ piece: [UInt8]) {
        self.piece = Mutex(piece)
    }

    func next() async throws(Problem) -> [UInt8]? {
        piece.withLock { piece in
            defer { piece = nil }
            return piece
        }
    }
}
