import Postgres
import TestSupport
import Testing

private struct Put: PostgresStatement {
    static let sql = "insert into thing (id) values ($1)"
    let id: Int64
    var parameters: [PostgresValue] { [.int8(id)] }
}

private struct Rejected: Error {}

@Suite struct TransactionTests {
    private func withTable(
        _ body: @Sendable (PostgresConnection, TestDatabase) async throws -> Void
    ) async throws {
        try await withConnection { connection, database async throws in
            try await connection.execute(script: "create table thing (id int8 unique deferrable initially deferred)")
            try await body(connection, database)
        }
    }

    private func count(_ database: TestDatabase) async throws -> Int? {
        Int(try await database.administer("select count(*) from thing"))
    }

    @Test func commits() async throws {
        try await withTable { connection, database async throws in
            let value = try await connection.transaction { connection async throws in
                try await connection.execute(Put(id: 1))
                #expect(await connection.isInTransaction)
                return 5
            }
            #expect(value == 5)
            #expect(try await count(database) == 1)
            #expect(await !connection.isInTransaction)
        }
    }

    @Test func rollsBackWhenTheBodyThrows() async throws {
        try await withTable { connection, database async throws in
            await #expect(throws: Rejected.self) {
                try await connection.transaction { connection async throws in
                    try await connection.execute(Put(id: 1))
                    throw Rejected()
                }
            }
            #expect(await !connection.isInTransaction)
            #expect(try await count(database) == 0)
        }
    }

    @Test func sendsNothingWhenNothingIsDone() async throws {
        try await withTable { connection, database async throws in
            try await connection.transaction { _ in }
            await #expect(throws: Rejected.self) { try await connection.transaction { _ in throw Rejected() } }
            let last = try await database.administer(
                "select query from pg_stat_activity where pid = \(await connection.backendPID)")
            #expect(last.hasPrefix("create table"))
        }
    }

    @Test func doesNotCommitHalfOfWhatWasAsked() async throws {
        try await withTable { connection, database async throws in
            do {
                try await connection.transaction { connection async throws in
                    try await connection.execute(Put(id: 1))
                    // The error is swallowed, but the server has given the transaction up.
                    _ = try? await connection.query("select 1/0")
                }
                Issue.record("a failed transaction was committed")
            } catch let error as PostgresError {
                #expect(error.sqlstate == .inFailedTransaction)
            }
            #expect(try await count(database) == 0)
            #expect(try await connection.execute(Put(id: 1)) == 1)
        }
    }

    @Test func reportsWhatFailsAtCommit() async throws {
        try await withTable { connection, database async throws in
            do {
                try await connection.transaction { try await $0.run([Put(id: 1), Put(id: 1)]) }
                Issue.record("the deferred constraint was not checked")
            } catch let error as PostgresError {
                #expect(error.sqlstate == .uniqueViolation)
            }
            #expect(try await count(database) == 0)
            #expect(await !connection.isInTransaction)
        }
    }

    @Test func rollsBackWhenCancelled() async throws {
        try await withTable { connection, database async throws in
            try await withThrowingTaskGroup(of: PostgresError.Code?.self) { group async throws in
                group.addTask {
                    await errorCode {
                        try await connection.transaction { connection async throws in
                            try await connection.execute(Put(id: 1))
                            try await connection.query("select pg_sleep(60)")
                        }
                    }
                }
                try await database.waitUntilRunning("pg_sleep")
                group.cancelAll()
                #expect(try await group.next() == .cancelled)
            }
            #expect(try await count(database) == 0)
            #expect(try await connection.execute(Put(id: 1)) == 1)
            #expect(await !connection.isInTransaction)
        }
    }

    @Test func refusesATransactionInATransaction() async throws {
        try await withTable { connection, database async throws in
            let code = await errorCode {
                try await connection.transaction { connection async throws in
                    try await connection.execute(Put(id: 1))
                    try await connection.transaction { _ in }
                }
            }
            #expect(code == .misuse)
            #expect(try await count(database) == 0)
        }
    }

    @Test func hasLevelsAndReadOnly() async throws {
        try await withTable { connection, _ async throws in
            try await connection.transaction(isolation: .serializable, readOnly: true) { connection async throws in
                let row = try await connection.query(
                    "select current_setting('transaction_isolation'), current_setting('transaction_read_only')")[0]
                #expect(try (row.text(0), row.text(1)) == ("serializable", "on"))
            }
        }
    }
}
