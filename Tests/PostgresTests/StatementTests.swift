import Postgres
import TestSupport
import Testing

private struct AllRows: PostgresStatement {
    static let sql = "select * from thing order by 1"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

private struct Insert: PostgresStatement {
    static let sql = "insert into thing (id) values ($1)"
    let id: PostgresValue
    var parameters: [PostgresValue] { [id] }
}

private struct Widen: PostgresStatement {
    static let sql = "select coalesce($1, 0)::text"
    let value: PostgresValue
    var parameters: [PostgresValue] { [value] }
    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

private struct Prepared: PostgresStatement {
    static let sql = "select count(*) from pg_prepared_statements"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

private struct Numbered<Mark>: PostgresStatement {
    static var sql: String { "select 1::int8 as \"\(Mark.self)\"" }
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

@Suite struct StatementTests {
    @Test func isPreparedOnce() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8)")
            for id in 1...20 { try await connection.execute(Insert(id: .int8(Int64(id)))) }
            #expect(try await connection.query(AllRows()).count == 20)
            #expect(try await connection.query(Prepared()) == [3])
        }
    }

    @Test func isPreparedForEachTypeOfParameter() async throws {
        try await withConnection { connection, _ async throws in
            #expect(try await connection.query(Widen(value: .null)) == ["0"])
            #expect(try await connection.query(Widen(value: .int8(1 << 40))) == ["1099511627776"])
            #expect(try await connection.query(Widen(value: .float8(0.5))) == ["0.5"])
            #expect(try await connection.query(Widen(value: .null)) == ["0"])
            #expect(try await connection.query(Widen(value: .int4(3))) == ["3"])
        }
    }

    @Test func pushesOutTheLeastRecentlyUsed() async throws {
        try await withConnection({ $0.maximumPreparedStatements = 3 }) { connection, _ async throws in
            _ = try await connection.query(Numbered<Int8>())
            for _ in 0..<3 {
                _ = try await connection.query(Prepared())
                _ = try await connection.query(Numbered<Int16>())
                _ = try await connection.query(Numbered<Int32>())
                _ = try await connection.query(Numbered<Int64>())
            }
            // Three, and the one that this statement itself pushed out and the next pipeline will deallocate.
            #expect(try await connection.query(Prepared()) == [4])
        }
    }

    @Test func unnamedModePreparesNothing() async throws {
        try await withConnection({ $0.statementMode = .unnamed }) { connection, _ async throws in
            #expect(try await connection.query(Widen(value: .int8(5))) == ["5"])
            #expect(try await connection.query(Prepared()) == [0])
        }
    }

    @Test func survivesAChangeOfTheTable() async throws {
        try await withConnection { connection, database async throws in
            try await connection.execute(script: "create table thing (id int8); insert into thing values (1)")
            #expect(try await connection.query(AllRows()) == [1])
            try await database.administer("alter table thing add column extra text")
            // "cached plan must not change result type": prepared again, unseen.
            #expect(try await connection.query(AllRows()) == [1])
            try await connection.execute(script: "deallocate all")
            #expect(try await connection.query(AllRows()) == [1])
            #expect(try await connection.query(Prepared()) == [2])
            // Something to deallocate that is not there any more.
            try await database.administer("alter table thing add column more text")
            try await connection.execute(script: "deallocate all")
            #expect(try await connection.query(AllRows()) == [1])
        }
    }

    @Test func aChangeOfTheTableEndsATransactionOnce() async throws {
        try await withConnection { connection, database async throws in
            try await connection.execute(script: "create table thing (id int8)")
            _ = try await connection.query(AllRows())
            try await database.administer("alter table thing add column extra text")
            let code = await errorCode {
                try await connection.transaction { _ = try await $0.query(AllRows()) }
            }
            #expect(code == .server)
            #expect(try await connection.transaction { try await $0.query(AllRows()) } == [])
        }
    }

    @Test func tellsWhatTheServerSays() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8 constraint positive check (id > 0))")
            do {
                try await connection.execute(Insert(id: .int8(-1)))
                Issue.record("a check was not checked")
            } catch let error as PostgresError {
                #expect((error.code, error.sqlstate, error.constraint) == (.server, .checkViolation, "positive"))
                #expect(error.sqlstate?.isDataFault == true)
                #expect((error.schema, error.table) == ("public", "thing"))
            }
            do {
                try await connection.query("select 1 frm x y")
                Issue.record("nonsense was accepted")
            } catch let error as PostgresError {
                #expect((error.sqlstate, error.position) == ("42601", 14))
            }
            #expect(try await connection.execute(Insert(id: .int8(1))) == 1)
        }
    }
}
