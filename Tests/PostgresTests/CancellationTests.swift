import Postgres
import TestSupport
import Testing

private struct Sleep: PostgresStatement {
    static let sql = "select pg_sleep($1)"
    let seconds: Double
    var parameters: [PostgresValue] { [.float8(seconds)] }
}

@Suite struct CancellationTests {
    @Test func endsTheStatementAndKeepsTheConnection() async throws {
        try await withConnection { connection, database async throws in
            let pid = await connection.backendPID
            for _ in 0..<5 {
                await withTaskGroup(of: PostgresError.Code?.self) { group in
                    group.addTask { await errorCode { try await connection.execute(Sleep(seconds: 60)) } }
                    try? await database.waitUntilRunning("pg_sleep")
                    group.cancelAll()
                    #expect(await group.next() == .cancelled)
                }
                #expect(await connection.backendPID == pid)
                // A cancel request that came late would hit this one.
                #expect(try await connection.execute(Sleep(seconds: 0.01)) == 1)
            }
        }
    }

    @Test func doesNotStartWhenCancelledBefore() async throws {
        try await withConnection { connection, _ async throws in
            await withTaskGroup(of: PostgresError.Code?.self) { group in
                group.cancelAll()
                group.addTask { await errorCode { try await connection.execute(Sleep(seconds: 60)) } }
                #expect(await group.next() == .cancelled)
            }
            #expect(try await connection.execute(Sleep(seconds: 0)) == 1)
        }
    }

    @Test func aTimeLimitOfACallEndsIt() async throws {
        try await withConnection { connection, _ async throws in
            let code = await errorCode {
                try await connection.execute(Sleep(seconds: 60), timeout: .milliseconds(50))
            }
            #expect(code == .timedOut)
            #expect(try await connection.execute(Sleep(seconds: 0.01), timeout: .seconds(30)) == 1)
        }
    }

    @Test func theServersTimeLimitEndsIt() async throws {
        try await withConnection({ $0.statementTimeout = .milliseconds(50) }) { connection, _ async throws in
            do {
                try await connection.execute(Sleep(seconds: 60))
                Issue.record("no time limit")
            } catch let error as PostgresError {
                #expect((error.code, error.sqlstate) == (.timedOut, .queryCanceled))
            }
            #expect(try await connection.execute(Sleep(seconds: 0.01)) == 1)
        }
    }

    @Test func anotherTaskMayCancel() async throws {
        try await withConnection { connection, database async throws in
            try await withThrowingTaskGroup(of: SQLState?.self) { group in
                group.addTask {
                    do {
                        try await connection.execute(Sleep(seconds: 60))
                        return nil
                    } catch {
                        return (error as? PostgresError)?.sqlstate
                    }
                }
                try await database.waitUntilRunning("pg_sleep")
                await connection.cancel()
                #expect(try await group.next() == .queryCanceled)
            }
            await connection.cancel()
            #expect(try await connection.execute(Sleep(seconds: 0.01)) == 1)
        }
    }

    @Test func twoTasksAtOnceAreRefused() async throws {
        try await withConnection { connection, database async throws in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await connection.execute(Sleep(seconds: 60), timeout: .seconds(20)) }
                try await database.waitUntilRunning("pg_sleep")
                #expect(await errorCode { try await connection.execute(Sleep(seconds: 0)) } == .misuse)
                await connection.cancel()
                await #expect(throws: PostgresError.self) { try await group.waitForAll() }
            }
        }
    }
}
