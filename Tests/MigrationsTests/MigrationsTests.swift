import Observability
import Postgres
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

    @Test("Checksums are SHA-256 (FIPS 180-4, the example of \"abc\")")
    func checksum() {
        let digest = SHA256.digest(Array("abc".utf8))
        #expect(digest.count == 32)
        #expect(digest.prefix(4) == [0xba, 0x78, 0x16, 0xbf])
        #expect(digest.suffix(4) == [0xf2, 0x00, 0x15, 0xad])
    }
}
