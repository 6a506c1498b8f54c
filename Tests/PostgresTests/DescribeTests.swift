import Postgres
import TestSupport
import Testing

@Suite struct DescribeTests {
    @Test func columnsAreKnownWithoutRunning() async throws {
        try await withConnection { connection, _ async throws in
            let query: PostgresQuery = "select 1 / 0 as a, $1::date as b, pg_sleep(60) as c, 'x' as d"
            let columns = try await connection.describe(query, timeout: .seconds(10))
            #expect(columns.map(\.name) == ["a", "b", "c", "d"] && columns.map(\.typeOID) == [23, 1082, 2278, 25])
            #expect(try await connection.describe("set local lock_timeout = 0").isEmpty)
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    @Test func mistakesHaveAPlaceAndLeaveTheConnectionUsable() async throws {
        try await withConnection { connection, _ async throws in
            for (sql, state, position) in [
                ("select nonsense", "42703", 8), ("select 1 frm x", "42601", 14), ("select * from absent", "42P01", 15),
                ("select 1; select 2", "42601", nil),
            ] as [(String, String, Int?)] {
                let error = await #expect(throws: PostgresError.self, "\(sql)") {
                    try await connection.describe(PostgresQuery(unsafeText: sql))
                }
                #expect(error?.sqlstate?.code == state && error?.position == position, "\(sql)")
                #expect(try await connection.query("select 1").rowCount == 1)
            }
        }
    }

    @Test func itIsAPartOfATransaction() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.transaction { connection in
                #expect(try await connection.describe("select 1 as a").count == 1)
                try await connection.query("create temporary table made (b int8)")
                #expect(try await connection.describe("select * from made").map(\.name) == ["b"])
            }
        }
    }
}
