import EventLoop
import Postgres
import TestSupport
import Testing

private struct Put: PostgresStatement {
    static let sql = "insert into thing values ($1)"
    let id: Int64
    var parameters: [PostgresValue] { [.int8(id)] }
}

/// What a connection says when the network fails, and what has become of the data.
@Suite struct FaultTests {
    private func withProxy(
        _ body: @Sendable (FaultProxy, PostgresConnection, TestDatabase) async throws -> Void
    ) async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.administer("create table thing (id int8); grant all on thing to millrace")
        let proxy = try FaultProxy.start(to: database.cluster)
        defer { proxy.stop() }
        var configuration = try PostgresConfiguration(url: proxy.url(of: database), connectTimeout: .seconds(20))
        configuration.answerGrace = .milliseconds(200)
        configuration.commitTimeout = .milliseconds(500)
        let connection = try await PostgresConnection.connect(configuration, on: TestLoops.shared().next())
        try await body(proxy, connection, database)
        await connection.close()
    }

    private func count(_ database: TestDatabase) async throws -> String {
        try await database.administer("select count(*) from thing")
    }

    @Test func theAnswerToCommitIsLost() async throws {
        try await withProxy { proxy, connection, database async throws in
            let code = await errorCode {
                try await connection.transaction { connection in
                    try await connection.execute(Put(id: 1))
                    proxy.set(.dropNextAnswer)
                }
            }
            #expect(code == .commitUnknown)
            try await eventually("committed") { try await count(database) == "1" }
            #expect(await errorCode { try await connection.execute(Put(id: 2)) } == .closed)
        }
    }

    @Test func theAnswerToAnAtomicPipelineIsLost() async throws {
        try await withProxy { proxy, connection, database async throws in
            try await connection.run([Put(id: 1), Put(id: 2)])
            proxy.set(.dropNextAnswer)
            #expect(await errorCode { try await connection.run([Put(id: 3), Put(id: 4)]) } == .commitUnknown)
            try await eventually("committed") { try await count(database) == "4" }
        }
    }

    @Test func anAnswerInsideATransactionIsLost() async throws {
        try await withProxy { proxy, connection, database async throws in
            let code = await errorCode {
                try await connection.transaction { connection in
                    try await connection.execute(Put(id: 1))
                    proxy.set(.dropNextAnswer)
                    try await connection.run([Put(id: 2), Put(id: 3)])
                }
            }
            #expect(code == .connectionLost)
            try await eventually("rolled back") {
                try await database.administer(
                    "select count(*) from pg_stat_activity where datname = current_database() and state like '%trans%'")
                    == "0"
            }
            #expect(try await count(database) == "0")
        }
    }

    @Test func aCommitThatIsNeverAnsweredEnds() async throws {
        try await withProxy { proxy, connection, _ async throws in
            let code = await errorCode {
                try await connection.transaction { connection in
                    try await connection.execute(Put(id: 1))
                    proxy.set(.stalled)
                }
            }
            #expect(code == .commitUnknown)
        }
    }

    @Test func aStalledNetworkEndsAStatementInTime() async throws {
        try await withProxy { proxy, connection, _ async throws in
            try await connection.execute(Put(id: 1))
            proxy.set(.stalled)
            let started = ContinuousClock.now
            let code = await errorCode { try await connection.execute(Put(id: 2), timeout: .milliseconds(100)) }
            #expect(code == .timedOut)
            #expect(ContinuousClock.now - started < .seconds(5))
            #expect(await errorCode { try await connection.execute(Put(id: 3)) } == .closed)
        }
    }

    @Test func aStalledNetworkEndsACopyInTime() async throws {
        try await withProxy { proxy, connection, _ async throws in
            let lines = [UInt8](String(repeating: "1\n", count: 100_000).utf8)
            let code = await errorCode {
                try await connection.copyIn("copy thing from stdin", timeout: .milliseconds(300)) { writer in
                    proxy.set(.stalled)
                    while true { try await writer.write(lines) }
                }
            }
            #expect(code == .timedOut)
        }
    }

    @Test func aServerThatDoesNotAnswerIsUnavailable() async throws {
        try await withProxy { proxy, _, database async throws in
            proxy.set(.stalled)
            let configuration = try PostgresConfiguration(
                url: proxy.url(of: database), connectTimeout: .milliseconds(100))
            let loop = try TestLoops.shared().next()
            #expect(
                await errorCode { _ = try await PostgresConnection.connect(configuration, on: loop) } == .unavailable)
        }
    }

    @Test func aPoolRecoversFromACut() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let proxy = try FaultProxy.start(to: database.cluster)
        defer { proxy.stop() }
        var configuration = try PostgresConfiguration(url: proxy.url(of: database), poolSize: 3)
        configuration.answerGrace = .milliseconds(200)
        configuration.acquireTimeout = .seconds(30)
        configuration.unavailableTimeout = .seconds(30)
        try await withRunningPool(configuration) { pool async throws in
            for _ in 0..<5 {
                let code = await errorCode {
                    try await pool.withConnection { connection in
                        proxy.cut()
                        try await connection.query("select 1")
                    }
                }
                #expect(code == .connectionLost)
                #expect(try await pool.withConnection { try await $0.query("select 1") }.rowCount == 1)
            }
        }
    }
}
