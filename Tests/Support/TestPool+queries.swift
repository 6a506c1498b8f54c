public import Postgres

/// What a test waited for did not come.
public struct TestTimeout: Error, CustomStringConvertible {
    public let description: String
}

extension PostgresPool {
    /// The first row's first value.
    public func int(_ query: PostgresQuery) async throws -> Int {
        try await withConnection { try await $0.query(query)[0].int(0) }
    }

    /// The first value of every row.
    public func texts(_ query: PostgresQuery) async throws -> [String] {
        try await withConnection { connection in
            let result = try await connection.query(query)
            return try (0..<result.rowCount).map { try result[$0].text(0) }
        }
    }

    public func run(_ query: PostgresQuery) async throws {
        _ = try await withConnection { try await $0.query(query) }
    }

    /// Returns when the query's first value is `expected`; throws ``TestTimeout`` after the limit. The database may be
    /// away meanwhile: that is what some tests are about.
    public func wait(
        until query: PostgresQuery, is expected: Int, within limit: Duration = .seconds(120)
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var found = -1
        while ContinuousClock.now < deadline {
            found = (try? await int(query)) ?? -1
            if found == expected { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw TestTimeout(description: "\(query.sql): \(found), not \(expected)")
    }
}
