import EventLoop
import Lifecycle
import Observability
import Postgres
import TestSupport
import Testing

private struct Backend: PostgresStatement {
    static let sql = "select pg_backend_pid()"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

private struct CurrentDatabase: PostgresStatement {
    static let sql = "select current_database()::text"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

private struct PreparedCount: PostgresStatement {
    static let sql = "select count(*) from pg_prepared_statements"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

private struct Rejected: Error {}

@Suite struct PoolTests {
    @Test func aHundredTasksShareFourConnections() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let loops = try TestLoops.shared().loops
        try await database.withPool(size: 4) { pool async throws in
            let pids = try await withThrowingTaskGroup(of: [Int].self) { group in
                for index in 0..<100 {
                    group.addTask(executorPreference: index % 3 == 0 ? nil : loops[index % loops.count]) {
                        var pids: [Int] = []
                        for _ in 0..<10 {
                            pids += try await pool.withConnection { connection in
                                #expect(connection.loop.isCurrent)
                                return try await connection.query(Backend())
                            }
                        }
                        return pids
                    }
                }
                return try await group.reduce(into: [Int]()) { $0 += $1 }
            }
            #expect(pids.count == 1000)
            #expect((1...4).contains(Set(pids).count))
        }
        try await eventually("all connections closed") {
            try await database.administer(
                "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
                == "0"
        }
    }

    /// Two databases stand for the server and the pooler before it.
    @Test func poolsGoThroughThePoolerAndSessionsDoNot() async throws {
        let server = try await TemporaryPostgres.shared()
        let (direct, pooled) = (try await server.database(), try await server.database())
        let configuration = try PostgresConfiguration(url: direct.url, pooler: pooled.url)
        try await withRunningPool(configuration) { pool async throws in
            let found = try await pool.withConnection { connection in
                try await connection.run(CurrentDatabase(), PreparedCount())
            }
            #expect(found.0 == [pooled.name] && found.1 == [0])
        }
        let connection = try await PostgresConnection.connect(configuration, on: TestLoops.shared().next())
        #expect(try await connection.query(CurrentDatabase()) == [direct.name])
        await connection.close()
    }

    @Test func staysOnTheCallersLoop() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let loops = try TestLoops.shared().loops
        try await database.withPool(size: 4) { pool async throws in
            for loop in loops + loops + loops {
                try await loop.run {
                    // The first time another loop's connection may serve while one of this loop is opened.
                    _ = try await pool.withConnection { try await $0.query(Backend()) }
                }
            }
            try await eventually("a connection of each loop") {
                var own = 0
                for loop in loops {
                    own += try await loop.run { try await pool.withConnection { $0.loop === loop ? 1 : 0 } }
                }
                return own == loops.count
            }
        }
    }

    @Test func takesBackACleanConnection() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 1) { pool async throws in
            await #expect(throws: Rejected.self) {
                try await pool.withConnection { connection in
                    try await connection.execute(script: "begin; create table thing (id int8)")
                    throw Rejected()
                }
            }
            let open = try await pool.withConnection { await $0.isInTransaction }
            #expect(!open)
            #expect(try await database.administer("select to_regclass('thing') is null") == "t")
        }
    }

    @Test func aTaskThatIsCancelledWaitsNoLonger() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 1) { pool async throws in
            try await pool.withConnection { _ in
                await withTaskGroup(of: PostgresError.Code?.self) { group in
                    for _ in 0..<10 { group.addTask { await errorCode { try await pool.withConnection { _ in } } } }
                    group.cancelAll()
                    for await code in group { #expect(code == .cancelled) }
                }
            }
            try await pool.withConnection { _ in }
        }
    }

    @Test func aWaitHasALimitAndSoHasTheQueue() async throws {
        let database = try await TemporaryPostgres.shared().database()
        var configuration = try database.configuration(poolSize: 1)
        configuration.acquireTimeout = .milliseconds(100)
        configuration.maximumWaiters = 3
        try await withRunningPool(configuration) { pool async throws in
            try await eventually("opened") { await errorCode { try await pool.withConnection { _ in } } == nil }
            try await pool.withConnection { _ in
                let started = ContinuousClock.now
                await withTaskGroup(of: PostgresError.Code?.self) { group in
                    for _ in 0..<8 { group.addTask { await errorCode { try await pool.withConnection { _ in } } } }
                    for await code in group { #expect(code == .poolExhausted) }
                }
                #expect(ContinuousClock.now - started >= .milliseconds(100))
            }
        }
    }

    @Test func sendsNothingAtRest() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 3) { pool async throws in
            // All three in use at once: none is being opened any more when they are given back.
            try await pool.withConnection { first in
                try await pool.withConnection { second in
                    try await pool.withConnection { third in
                        for connection in [first, second, third] { _ = try await connection.query(Backend()) }
                    }
                }
            }
            let before = try await changes(database)
            #expect(before.split(separator: ",").count == 3)
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await changes(database) == before)
        }
    }

    private func changes(_ database: TestDatabase) async throws -> String {
        try await database.administer(
            """
            select string_agg(pid || ' ' || state_change, ',' order by pid) from pg_stat_activity
            where datname = current_database() and application_name = 'test'
            """)
    }

    @Test func showsItsMetrics() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let metrics = MetricsRegistry()
        try await withRunningPool(try database.configuration(poolSize: 2), metrics: metrics) { pool in
            try await pool.withConnection { _ in
                let text = String(decoding: metrics.render(), as: UTF8.self)
                #expect(text.contains(#"millrace_postgres_connections_in_use{pool="postgres"} 1"#))
                #expect(text.contains(#"millrace_postgres_connections_opened_total{pool="postgres"} 1"#))
            }
            let text = String(decoding: metrics.render(), as: UTF8.self)
            #expect(text.contains(#"millrace_postgres_connections_idle{pool="postgres"} 1"#))
        }
    }

    @Test func shutdownWaitsForWhatIsLeased() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let pool = PostgresPool(
            try database.configuration(), loops: try TestLoops.shared(), logger: .silent, metrics: MetricsRegistry())
        let shutdown = ShutdownSignal()
        try await withThrowingTaskGroup(of: Int.self) { group async throws in
            group.addTask {
                try await pool.run(until: shutdown)
                return 2
            }
            group.addTask {
                try await pool.withConnection { connection in
                    shutdown.request()
                    try await eventually("refused") {
                        await errorCode { try await pool.withConnection { _ in } } == .closed
                    }
                    _ = try await connection.query(Backend())
                    return 1
                }
            }
            #expect(try await group.next() == 1)
            #expect(try await group.next() == 2)
        }
    }
}
