import EventLoop
import Observability
import Postgres
import TestSupport
import Testing

@Suite struct StatementLimitTests {
    /// How a statement on one of the pool's connections ends under a limit.
    private func code(_ query: PostgresQuery, _ pool: PostgresPool, limit: Duration?) async -> PostgresError.Code? {
        await errorCode { try await StatementLimit.$current.withValue(limit) { try await pool.run(query) } }
    }

    @Test func aStatementBehindALockGivesItsConnectionBack() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 2) { pool async throws in
            try await pool.withConnection { try await $0.execute(script: "create table thing ()") }
            try await pool.withTransaction { holder in
                try await holder.query("lock table thing")
                #expect(await self.code("select from thing", pool, limit: .milliseconds(200)) == .timedOut)
                // Of two connections the holder has one.
                #expect(try await pool.int("select 1") == 1)
            }
        }
    }

    @Test func whatSaysItselfHowLongItTakesAndWhatWorksInTheBackgroundIsNotBound() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let configuration = try database.configuration()
        let loop = try TestLoops.shared().next()
        try await database.withPool(size: 1) { pool async throws in
            let sleep: PostgresQuery = "select pg_sleep(0.3)"
            let short = Duration.milliseconds(50)
            #expect(await self.code(sleep, pool, limit: short) == .timedOut)
            try await StatementLimit.$current.withValue(short) {
                try await pool.withConnection { _ = try await $0.query(sleep, timeout: .seconds(20)) }
            }
            let own = try await PostgresConnection.connect(configuration, on: loop)
            try await StatementLimit.$current.withValue(short) { _ = try await own.query(sleep) }
            await own.close()
            try await pool.run(sleep)
        }
    }

    @Test func aServerThatIsGoneWithoutAWordKeepsNoConnection() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let proxy = try FaultProxy.start(to: database.cluster)
        defer { proxy.stop() }
        var configuration = try PostgresConfiguration(
            url: proxy.url(of: database), poolSize: 1, connectTimeout: .seconds(20))
        configuration.answerGrace = .milliseconds(200)
        try await withRunningPool(configuration) { pool async throws in
            #expect(try await pool.int("select 1") == 1)
            proxy.freeze()
            #expect(await self.code("select 1", pool, limit: .milliseconds(200)) == .timedOut)
            #expect(try await pool.int("select 1") == 1)
        }
    }
}
