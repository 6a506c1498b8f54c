import Postgres
import TestSupport
import Testing

@Suite struct StreamTests {
    @Test func givesColumnsAndRowsAsText() async throws {
        try await withConnection { connection, _ async throws in
            let lines = try await connection.stream(
                "select i as id, i * 1.5 as n, null as nothing from generate_series(1, \(.int8(3))) i"
            ) { rows async throws in
                #expect(rows.columns.map(\.name) == ["id", "n", "nothing"])
                #expect(rows.columns.map(\.typeOID) == [20, 1700, 25])
                var lines: [String] = []
                while let row = try await rows.next() {
                    #expect(row.isNull(2))
                    lines.append("\(try row.text(0)) \(try row.text(1))")
                }
                #expect(try await rows.next() == nil)
                return lines
            }
            #expect(lines == ["1 1.5", "2 3.0", "3 4.5"])
        }
    }

    @Test func knowsTheColumnsOfNoRows() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.stream("select 1 as a where false") { rows async throws in
                #expect(rows.columns.map(\.name) == ["a"])
                #expect(try await rows.next() == nil)
            }
        }
    }

    @Test func mayBeLeftEarly() async throws {
        try await withConnection { connection, _ async throws in
            let pid = await connection.backendPID
            let first = try await connection.stream("select generate_series(1, 100000000)") { rows async throws in
                try await rows.next()?.text(0)
            }
            #expect(first == "1")
            #expect(await connection.backendPID == pid)
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    /// libpq keeps to giving rows one by one where a pipeline follows at once.
    @Test(arguments: [true, false]) func theNextQueryHasAllItsRows(readsAll: Bool) async throws {
        try await withConnection { connection, _ async throws in
            for _ in 0..<3 {
                try await connection.transaction { connection in
                    try await connection.stream("select generate_series(1, 3)") { rows async throws in
                        while try await rows.next() != nil, readsAll {}
                    }
                    #expect(try await connection.query("select generate_series(1, 5)").rowCount == 5)
                }
                try await connection.stream("select generate_series(1, 3)") { rows async throws in
                    while try await rows.next() != nil {}
                }
                let results = try await connection.query("select generate_series(1, 4)")
                #expect(results.rowCount == 4)
            }
        }
    }

    @Test func failsInTheMiddle() async throws {
        try await withConnection { connection, _ async throws in
            let seen = try await connection.stream("select 1 / (3 - i) from generate_series(1, 5) i") {
                rows async throws in
                var seen = 0
                do {
                    while try await rows.next() != nil { seen += 1 }
                } catch let error as PostgresError {
                    #expect(error.sqlstate == "22012")
                }
                return seen
            }
            #expect(seen == 2)
            #expect(await errorCode { try await connection.stream("select frm") { _ in } } == .server)
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }

    @Test func runsInsideATransactionAndWithinALimit() async throws {
        try await withConnection { connection, _ async throws in
            try await connection.transaction(readOnly: true) { connection async throws in
                try await connection.stream("select current_setting('transaction_read_only')") { rows async throws in
                    #expect(try await rows.next()?.text(0) == "on")
                }
            }
            let code = await errorCode {
                try await connection.stream("select pg_sleep(60)", timeout: .milliseconds(50)) { _ in }
            }
            #expect(code == .timedOut)
            #expect(try await connection.query("select 1").rowCount == 1)
        }
    }
}
