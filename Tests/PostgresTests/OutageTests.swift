import EventLoop
import Observability
import Postgres
import Synchronization
import TestSupport
import Testing

private struct One: PostgresStatement {
    static let sql = "select 1"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

private struct Put: PostgresStatement {
    static let sql = "insert into thing values ($1)"
    var parameters: [PostgresValue] { [.int8(1)] }
}

private final class Arrivals: Sendable {
    let count = Mutex(0)
}

@Suite struct OutageTests {
    @Test func terminatedBackendsLeaveThePool() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 4) { pool async throws in
            for _ in 0..<3 {
                let pids = try await useAll(pool, 4)
                #expect(Set(pids).count == 4)
                let list = pids.map(String.init).joined(separator: ",")
                try await database.administer("select pg_terminate_backend(p, 5000) from unnest('{\(list)}'::int[]) p")
                // Nobody notices: what broke while idle is found out before it is used.
                for _ in 0..<8 { #expect(try await pool.withConnection { try await $0.query(One()) } == [1]) }
            }
        }
    }

    @Test func aStatementUnderWayTellsOfTheLoss() async throws {
        try await withConnection { connection, database async throws in
            try await withThrowingTaskGroup(of: PostgresError.Code?.self) { group async throws in
                group.addTask { await errorCode { try await connection.query("select pg_sleep(60)") } }
                try await database.waitUntilRunning("pg_sleep")
                try await database.administer("select pg_terminate_backend(\(await connection.backendPID), 5000)")
                #expect(try await group.next() == .connectionLost)
            }
            #expect(await errorCode { try await connection.query("select 1") } == .closed)
        }
    }

    @Test func aTransactionCutShortHasNoEffect() async throws {
        let database = try await TemporaryPostgres.shared().database()
        try await database.withPool(size: 2) { pool async throws in
            try await pool.withConnection { try await $0.execute(script: "create table thing (id int8)") }
            let code = await errorCode {
                try await pool.withTransaction { connection in
                    try await connection.execute(Put())
                    try await database.administer("select pg_terminate_backend(\(await connection.backendPID), 5000)")
                    try await connection.execute(Put())
                }
            }
            #expect(code == .connectionLost)
            #expect(try await database.administer("select count(*) from thing") == "0")
            #expect(try await pool.withTransaction { try await $0.execute(Put()) } == 1)
        }
    }

    @Test func worksAgainAfterARestartAndAKill() async throws {
        let cluster = try await TemporaryPostgres.start()
        let database = try await cluster.database()
        try await database.withPool(size: 3) { pool async throws in
            _ = try await useAll(pool, 3)
            try await cluster.restart(.fast)
            try await eventually("working again") { await refusal(pool) == nil }
            _ = try await useAll(pool, 3)
            cluster.killHard()
            // Each of the connections that are left tells of its loss to who uses it first. Then requests are refused
            // quickly, by the first attempt or the queue's shorter patience.
            try await eventually("noticed") { await refusal(pool) == .unavailable }
            let started = ContinuousClock.now
            let code = await refusal(pool)
            #expect(code == .unavailable)
            #expect(ContinuousClock.now - started < .seconds(2))
            try await cluster.startAgain()
            let back = ContinuousClock.now
            try await eventually("working again") { await refusal(pool) == nil }
            #expect(ContinuousClock.now - back < .seconds(10))
            #expect(pool.isAvailable)
        }
    }

    @Test func aPoolMayStartBeforeTheDatabase() async throws {
        let cluster = try await TemporaryPostgres.start()
        let database = try await cluster.database()
        try await cluster.stop()
        try await database.withPool { pool async throws in
            #expect(await refusal(pool) == .unavailable)
            #expect(!pool.isAvailable)
            try await cluster.startAgain()
            try await eventually("reached without being asked") { pool.isAvailable }
            #expect(await refusal(pool) == nil)
        }
    }

    @Test func anUnknownHostIsUnavailable() async throws {
        let configuration = try PostgresConfiguration(url: "postgres://nobody@name.invalid/x")
        let loop = try TestLoops.shared().next()
        #expect(await errorCode { _ = try await PostgresConnection.connect(configuration, on: loop) } == .unavailable)
    }

    @Test func aWrongURLIsRefusedWithoutShowingIt() throws {
        let url = "postgres://user:hidden@host/database?nonsense=1"
        let error = #expect(throws: PostgresError.self) { try PostgresConfiguration(url: url) }
        #expect(error?.code == .configuration)
        #expect(error?.description.contains("hidden") == false)
        let configuration = try PostgresConfiguration(url: "postgres://user:hidden@host/database")
        #expect(configuration.user == "user" && configuration.database == "database")
        #expect(configuration.with(user: "other", password: nil).user == "other")
        var text = ""
        dump(configuration, to: &text)
        #expect(!text.contains("hidden") && !"\(configuration)".contains("hidden"))
    }

    private func refusal(_ pool: PostgresPool) async -> PostgresError.Code? {
        await errorCode { _ = try await pool.withConnection { try await $0.query(One()) } }
    }

    /// Makes the pool open `count` connections by using them all at once.
    /// Has as many connections in use at the same time: if the pool has no more, none is being made afterwards. Gives
    /// their server processes.
    private func useAll(_ pool: PostgresPool, _ count: Int) async throws -> [Int32] {
        let had = Arrivals()
        return try await withThrowingTaskGroup(of: Int32.self) { group in
            for _ in 0..<count {
                group.addTask {
                    try await pool.withConnection { connection in
                        had.count.withLock { $0 += 1 }
                        while had.count.withLock({ $0 }) < count { try await Task.sleep(for: .milliseconds(2)) }
                        return await connection.backendPID
                    }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }
}
