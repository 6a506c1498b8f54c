import Access
import Configuration
import EventLoop
import HTTPServer
import JSON
import Lifecycle
import Migrations
import Observability
import Platform
import Postgres
import TestSupport

@testable import Analytics

/// The service as it runs, over a database with two workspaces and some data.
struct QueryServer: Sendable {
    static let key = "mr_" + String(repeating: "k", count: 42) + "A"
    static let ingestKey = "mr_" + String(repeating: "i", count: 42) + "A"
    let port: UInt16
    let database: TestDatabase
    let service: AnalyticsService
    /// Collects what it logs, its audit above all: a line for each of thousands of requests.
    let log: LogSink

    /// Runs `body` while the service runs. `isolated`: the database is prepared as a superuser prepares it.
    /// `change`: what a superuser has done to it besides. `cluster`: instead of the one that all tests share.
    static func run<T: Sendable>(
        isolated: Bool = true, workspaces: [String] = ["default", "other"], settings: [String: String] = [:],
        change: String? = nil, cluster: TemporaryPostgres? = nil,
        _ body: @Sendable (QueryServer) async throws -> T
    ) async throws -> T {
        let database = try await makeDatabase(isolated: isolated, workspaces, in: cluster)
        if let change { try await database.administer(change) }
        var variables = ["DATABASE_URL": database.url, "MILLRACE_LISTEN_PORT": "0", "MILLRACE_LOG_LEVEL": "error"]
        variables.merge(settings) { $1 }
        let log = LogSink.memory()
        let service = try AnalyticsService(AnalyticsConfiguration(Environment(variables)), log: log)
        defer { service.platform.loops.shutdown() }
        let server = QueryServer(port: try service.server.bind(), database: database, service: service, log: log)
        return try await withRunningService(service.platform.pool) {
            let services: [any Service] = [service.platform.wakeup] + service.services
            return try await run(services[...]) { try await body(server) }
        }
    }

    private static func run<T: Sendable>(
        _ services: ArraySlice<any Service>, _ body: @Sendable () async throws -> T
    ) async throws -> T {
        guard let first = services.first else { return try await body() }
        return try await withRunningService(first) { try await run(services.dropFirst(), body) }
    }

    private static func makeDatabase(
        isolated: Bool, _ workspaces: [String], in own: TemporaryPostgres?
    ) async throws -> TestDatabase {
        let cluster = if let own { own } else { try await TemporaryPostgres.shared() }
        let database = try await cluster.database()
        if isolated { try await cluster.prepare(database.name) }
        try await database.withPool(size: 1) { pool in
            try await pool.withConnection { connection in
                _ = try await Migrator(logger: .silent).run(connection)
                for name in workspaces {
                    let workspace = try await WorkspaceProvision.ensure(name, on: connection)
                    try await connection.execute(script: data(in: workspace.schema, secret: "secret of \(name)"))
                }
                try await AdminKey.ensure(key, on: connection)
            }
        }
        return database
    }

    private static func data(in schema: String, secret: String) -> String {
        """
        create table \(schema).web (id int8, status int8, line text);
        insert into \(schema).web select g, (g % 5) * 100, 'line ' || g from generate_series(1, 100) g;
        create table \(schema).own_secret (word text);
        insert into \(schema).own_secret values ('\(secret)');
        """
    }

    // MARK: Asking

    static func request(_ body: String, target: String = "/v1/query", key: String = Self.key) -> String {
        """
        POST \(target) HTTP/1.1\r
        Host: test\r
        Authorization: Bearer \(key)\r
        Content-Type: application/json\r
        Content-Length: \(body.utf8.count)\r
        Connection: close\r
        \r
        \(body)
        """
    }

    func post(
        _ body: JSONValue, target: String = "/v1/query", key: String = Self.key
    ) async throws -> QueryClient.Answer {
        let client = try QueryClient(port: port)
        let text = String(decoding: body.serialized(), as: UTF8.self)
        try await client.send(Self.request(text, target: target, key: key))
        return try await client.answer()
    }

    func query(_ sql: String, _ params: JSONValue = [], target: String = "/v1/query") async throws
        -> QueryClient.Answer
    {
        try await post(["sql": .string(sql), "params": params], target: target)
    }

    func get(_ target: String) async throws -> QueryClient.Answer {
        let client = try QueryClient(port: port)
        try await client.send("GET \(target) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        return try await client.answer()
    }

    /// The statements that workspaces' roles are running now, without those that wait for the next.
    func running() async throws -> Int {
        let count = try await database.administer(
            """
            select count(*) from pg_stat_activity where usename like 'millrace_ws_%' and state <> 'idle'
            and datname = current_database()
            """)
        return Int(count) ?? -1
    }

    /// Waits until no statement of a workspace's role is left; fails after ten seconds.
    func awaitQuiet() async throws {
        for _ in 0..<200 {
            if try await running() == 0 { return }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TestSupportError("statements are left running")
    }
}
