import Observability
import Postgres
import Synchronization
import TestSupport
import Testing

@testable import Migrations

@Suite("Migrations")
struct MigrationsTests {
    private func withConnection<T: Sendable>(
        _ body: @Sendable (PostgresConnection) async throws -> T
    ) async throws -> T {
        let database = try await TemporaryPostgres.shared().database()
        return try await database.withPool { try await $0.withConnection(body) }
    }

    private let two = [
        Migration(name: "0001_first.sql", sql: "CREATE TABLE millrace.first (id int8);"),
        Migration(name: "0002_second.sql", sql: "CREATE TABLE millrace.second (id int8);\nSELECT 1;"),
    ]

    @Test("The embedded files apply to an empty database as a role that only owns it, and once only")
    func applies() async throws {
        try await withConnection { connection in
            let applied = try await Migrator(logger: .silent).run(connection)
            #expect(applied.count >= 2)
            #expect(applied == applied.sorted())
            #expect(try await Migrator(logger: .silent).run(connection).isEmpty)
            let queues = try await connection.query("SELECT count(*) FROM queue.queue")
            #expect(try queues[0].int(0) == 3)
        }
    }

    @Test("Runners that start together apply each file once")
    func concurrent() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let two = two
        try await database.withPool(size: 8) { pool in
            let applied = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<8 {
                    group.addTask { try await Migrator(two, logger: .silent).run(pool) }
                }
                return try await group.reduce(into: [String]()) { $0 += $1 }
            }
            #expect(applied.sorted() == ["0001_first.sql", "0002_second.sql"])
        }
    }

    @Test("A changed file is an error that names it")
    func changed() async throws {
        let two = two
        try await withConnection { connection in
            _ = try await Migrator(two, logger: .silent).run(connection)
            let edited = [two[0], Migration(name: two[1].name, sql: two[1].sql + " -- edited")]
            let error = try await #require(throws: MigrationError.self) {
                try await Migrator(edited, logger: .silent).run(connection)
            }
            #expect(error.code == .changed)
            #expect(error.file == "0002_second.sql")
        }
    }

    @Test("A file that fails leaves nothing and says where; the next run goes on from there")
    func failing() async throws {
        let two = two
        try await withConnection { connection in
            let broken = [
                two[0], Migration(name: two[1].name, sql: "CREATE TABLE millrace.second (id int8);\nSELECT nonsense;"),
            ]
            let error = try await #require(throws: MigrationError.self) {
                try await Migrator(broken, logger: .silent).run(connection)
            }
            #expect(error.code == .failed)
            #expect(error.file == "0002_second.sql")
            #expect(error.line == 2)
            #expect(try await Migrator(two, logger: .silent).run(connection) == ["0002_second.sql"])
        }
    }

    @Test("A database of a later build is refused")
    func unknown() async throws {
        let two = two
        try await withConnection { connection in
            _ = try await Migrator(two, logger: .silent).run(connection)
            let error = try await #require(throws: MigrationError.self) {
                try await Migrator([two[0]], logger: .silent).run(connection)
            }
            #expect(error.code == .unknown)
            #expect(error.file == "0002_second.sql")
        }
    }

    private let changing = Migration(
        name: "0003_changing.sql",
        sql: "CREATE TABLE millrace.third (id int8); ALTER TABLE millrace.first ADD COLUMN more int8;")

    /// Runs `body` while another session holds on to the first table, as `pg_dump` does; it lets go with `release`.
    private func whileDumped(
        _ pool: PostgresPool, _ body: @Sendable (_ release: @escaping @Sendable () -> Void) async throws -> Void
    ) async throws {
        let (held, holding) = AsyncStream.makeStream(of: Void.self)
        let (released, releasing) = AsyncStream.makeStream(of: Void.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { holding.finish() }
                try await pool.withTransaction { connection in
                    try await connection.query("LOCK TABLE millrace.first IN ACCESS SHARE MODE")
                    holding.finish()
                    for await _ in released { break }
                }
            }
            for await _ in held { break }
            defer { releasing.finish() }
            try await body { releasing.finish() }
            releasing.finish()
            try await group.waitForAll()
        }
    }

    @Test(
        "Behind a dump a file gives way, says who is in its way, and is applied once the dump has ended",
        .timeLimit(.minutes(5)))
    func givesWay() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let (two, changing) = (two, changing)
        let sink = LogSink.memory()
        let tries = Mutex(0)
        try await database.withPool(size: 4) { pool in
            _ = try await Migrator(two, logger: .silent).run(pool)
            try await whileDumped(pool) { release in
                let migrator = Migrator(
                    two + [changing], patience: LockPatience(lockTimeout: .milliseconds(50)),
                    logger: Logger(service: "migrate", level: .info, sink: sink)
                ) { _ in
                    // Between two tries nobody stands behind the file, and nothing of it is there.
                    try await pool.withConnection { other in
                        try await other.query("INSERT INTO millrace.first VALUES (1)", timeout: .seconds(20))
                        let left = try await other.query("SELECT to_regclass('millrace.third') IS NULL")
                        #expect(try left[0].bool(0))
                    }
                    let count = tries.withLock { tries in
                        tries += 1
                        return tries
                    }
                    if count == 3 { release() }
                }
                let applied = try await migrator.run(pool)
                #expect(applied == ["0003_changing.sql"])
            }
            let written = try await pool.int("SELECT count(*) FROM millrace.first WHERE more IS NULL")
            #expect(written == tries.withLock { $0 })
        }
        let said = sink.takeText()
        #expect(tries.withLock { $0 } >= 3)
        #expect(said.contains(#""migration.name":"0003_changing.sql","migration.tries":1,"lock.holders":"pid "#))
        #expect(said.contains("millrace.first"), "\(said)")
    }

    @Test(
        "A file whose locks are not to be had for long is an error that names it, and leaves nothing",
        .timeLimit(.minutes(5)))
    func givesUp() async throws {
        let database = try await TemporaryPostgres.shared().database()
        let (two, changing) = (two, changing)
        try await database.withPool(size: 4) { pool in
            _ = try await Migrator(two, logger: .silent).run(pool)
            try await whileDumped(pool) { _ in
                let patience = LockPatience(lockTimeout: .milliseconds(20), total: .zero)
                let error = try await #require(throws: MigrationError.self) {
                    try await Migrator(two + [changing], patience: patience, logger: .silent).run(pool)
                }
                #expect(error.code == .locked && error.file == "0003_changing.sql")
                #expect(error.message.contains("pid "), "\(error.message)")
            }
            #expect(try await Migrator(two + [changing], logger: .silent).run(pool) == ["0003_changing.sql"])
        }
    }

    @Test("Checksums are SHA-256 (FIPS 180-4, the example of \"abc\")")
    func checksum() {
        let digest = SHA256.digest(Array("abc".utf8))
        #expect(digest.count == 32)
        #expect(digest.prefix(4) == [0xba, 0x78, 0x16, 0xbf])
        #expect(digest.suffix(4) == [0xf2, 0x00, 0x15, 0xad])
    }
}
