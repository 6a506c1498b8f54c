import Postgres
import TestSupport
import Testing

private struct Put: PostgresStatement {
    static let sql = "insert into thing (id) values ($1) returning id"
    let id: Int64
    var parameters: [PostgresValue] { [.int8(id)] }
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

private struct Count: PostgresStatement {
    static let sql = "select count(*) from thing"
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int { try row.int(0) }
}

private struct Big: PostgresStatement {
    static let sql = "select $1"
    let bytes: [UInt8]
    var parameters: [PostgresValue] { [.bytes(bytes)] }
    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] { try row.bytes(0) }
}

@Suite struct PipelineTests {
    private static let table =
        "create table thing (id int8 primary key, late int8 unique deferrable initially deferred default 0)"

    @Test func givesResultsInOrder() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: Self.table.replacing("unique deferrable initially deferred", with: ""))
            let results = try await connection.run([Put(id: 1), Put(id: 2), Count()])
            #expect(results.map(\.affectedRows) == [1, 1, 1])
            #expect(try results[1].decode(as: Put.self) == [2])
            let (ids, counts) = try await connection.run(Put(id: 3), Count())
            #expect((ids, counts) == ([3], [3]))
            #expect(try await connection.run([]).isEmpty)
        }
    }

    @Test func isAtomic() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8 primary key)")
            let code = await errorCode { try await connection.run([Put(id: 1), Put(id: 1), Put(id: 2)]) }
            #expect(code == .server)
            #expect(try await connection.query(Count()) == [0])
            #expect(try await connection.run([Put(id: 1), Count()]).count == 2)
        }
    }

    @Test func aConstraintThatIsCheckedAtTheEndFailsAll() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: Self.table)
            do {
                try await connection.run([Put(id: 1), Put(id: 2)])
                Issue.record("the deferred constraint was not checked")
            } catch let error as PostgresError {
                #expect(error.sqlstate == .uniqueViolation)
            }
            #expect(try await connection.query(Count()) == [0])
            #expect(try await connection.query(Put(id: 1)) == [1])
        }
    }

    @Test func aFailedPreparationIsForgotten() async throws {
        try await withConnection { connection, _ async throws in
            for _ in 0..<2 {
                let code = await errorCode { try await connection.run([Put(id: 1), Put(id: 2), Count()]) }
                #expect(code == .server)
            }
            try await connection.execute(script: "create table thing (id int8 primary key)")
            #expect(try await connection.run([Put(id: 1), Put(id: 2), Count()]).count == 3)
        }
    }

    @Test func doesNotDeadlockWhenBothSidesSendMuch() async throws {
        try await withConnection { connection, _ async throws in
            let bytes = [UInt8](repeating: 7, count: 3 << 20)
            let results = try await connection.run((0..<8).map { _ in Big(bytes: bytes) })
            #expect(results.count == 8)
            for result in results { #expect(try result.decode(as: Big.self)[0].count == bytes.count) }
        }
    }

    @Test func runsInsideATransaction() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.execute(script: "create table thing (id int8 primary key)")
            let code = await errorCode {
                try await connection.transaction { connection async throws in
                    try await connection.run([Put(id: 1), Put(id: 2)])
                    try await connection.run([Put(id: 3), Put(id: 3)])
                }
            }
            #expect(code == .server)
            #expect(try await connection.query(Count()) == [0])
        }
    }
}
