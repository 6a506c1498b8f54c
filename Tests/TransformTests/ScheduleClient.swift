import Access
import EventLoop
import HTTP
import HTTPServer
import JSON
import Migrations
import Observability
import Postgres
import Queue
import TestSupport

@testable import Transform

/// The routes of pipelines and schedules behind authentication, without a socket, over a database of their own.
struct ScheduleClient: Sendable {
    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        var json: JSONValue { (try? JSONValue.parse(text)) ?? .null }
        var code: String? { json["code"]?.string }
        var items: [JSONValue] { json["items"]?.array ?? [] }
        /// `path: message` of each fault.
        var faults: [String] {
            (json["errors"]?.array ?? []).map { "\($0["path"]?.string ?? "?"): \($0["message"]?.string ?? "?")" }
        }
    }

    let pool: PostgresPool
    private let application: Application
    private let key: String

    /// Runs `body` with an administrator's client of workspace 1, which has a pipeline `web` and a source `events`.
    static func run(_ body: @Sendable (ScheduleClient) async throws -> Void) async throws {
        let database = try await TemporaryPostgres.shared().database(template: "schedules") { url in
            try await withRunningPool(try PostgresConfiguration(url: url)) { pool in
                _ = try await Migrator(logger: .silent).run(pool)
                try await pool.run(
                    """
                    insert into millrace.workspace (name, schema_name, query_role)
                    values ('default', 'ws_default', 'none'), ('other', 'ws_other', 'nobody')
                    """)
            }
        }
        try await database.withPool(size: 6) { pool in
            let client = try await ScheduleClient(pool)
            _ = try await client.put(
                "/v1/pipelines/web",
                ["source": "weblogs", "steps": [], "target": ["dataset": "web", "mode": "append"]])
            try await body(client)
        }
    }

    /// Enters a key with these scopes.
    init(_ pool: PostgresPool, scopes: [String] = ["admin"], workspaceID: Int64 = 1) async throws {
        let key = try APIKey.generate()
        try await pool.run(
            """
            insert into millrace.api_key (workspace_id, name, prefix, hash, scopes)
            values (\(.int8(workspaceID)), 'test', '', \(.bytes(key.hash.bytes)), \(.textArray(scopes)))
            """)
        self.key = key.reveal()
        self.pool = pool
        let store = PipelineStore(pool: pool)
        let lookups = Lookups(pool: pool)
        let pipelines = PipelineRouteTable(
            pipelines: PipelineRoutes(store: store, lookups: lookups),
            dryRun: DryRunRoute(store: store, salts: WorkspaceSalts(pool: pool), lookups: lookups))
        let wakeup = Wakeup(pool.configuration, loop: try TestLoops.shared().next(), logger: .silent)
        let schedules = ScheduleRoutes(store: ScheduleStore(pool: pool), wakeup: wakeup)
        let authentication = AuthenticationMiddleware(keys: StoredKeys(pool), metrics: MetricsRegistry())
        application = Application(
            router: Router(routes: pipelines.routes + schedules.routes), middleware: [authentication],
            metrics: MetricsRegistry())
    }

    func get(_ target: String) async throws -> Answer { try await send(.get, target, [:], nil) }

    func post(_ target: String) async throws -> Answer { try await send(.post, target, [:], nil) }

    func delete(_ target: String, headers: HTTPHeaders = [:]) async throws -> Answer {
        try await send(.delete, target, headers, nil)
    }

    func put(_ target: String, _ body: JSONValue, headers: HTTPHeaders = [:]) async throws -> Answer {
        var headers = headers
        headers["content-type"] = "application/json"
        return try await send(.put, target, headers, body.serialized())
    }

    private func send(
        _ method: HTTPMethod, _ target: String, _ headers: HTTPHeaders, _ body: [UInt8]?
    ) async throws -> Answer {
        var headers = headers
        headers["authorization"] = "Bearer \(key)"
        let head = try HTTPRequestHead(method, target, headers: headers, bodyLength: body?.count)
        let context = RequestContext(head, logger: .silent, peerAddress: "192.0.2.1")
        let response = await application.respond(to: Request(head, body: RequestBody(body ?? []), context: context))
        var text = ""
        if case .bytes(let bytes) = response.body { text = String(decoding: bytes, as: UTF8.self) }
        return Answer(status: Int(response.status.code), headers: response.headers, text: text)
    }
}
