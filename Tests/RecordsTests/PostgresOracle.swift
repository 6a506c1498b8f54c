import Foundation
import Postgres
import TestSupport

/// A real server asked what it makes of texts and rows.
struct PostgresOracle {
    let pool: PostgresPool

    static func with<T: Sendable>(_ body: @Sendable (PostgresOracle) async throws -> T) async throws -> T {
        let database = try await TemporaryPostgres.shared().database()
        return try await database.withPool { pool in
            try await pool.withConnection { connection in try await connection.execute(script: function) }
            return try await body(PostgresOracle(pool: pool))
        }
    }

    /// Of each text what the server prints for `text::type`, or its error message after `ERROR: `.
    func cast(_ texts: [String], to type: String) async throws -> [String] {
        try await pool.withConnection { connection in
            var results: [String] = []
            for start in stride(from: 0, to: texts.count, by: 5000) {
                let part = Array(texts[start..<min(texts.count, start + 5000)])
                let result = try await connection.query(
                    """
                    select try_cast(t, \(.text(type)))
                    from unnest(\(.textArray(part))) with ordinality u(t, n) order by n
                    """)
                for row in 0..<result.rowCount { results.append(try result[row].text(0)) }
            }
            return results
        }
    }

    private static let function = """
        create function try_cast(value text, type text) returns text language plpgsql
        set datestyle = 'ISO, MDY' as $$
        declare result text;
        begin
            execute format('select (%L::%s)::text', value, type) into result;
            return result;
        exception when others then return 'ERROR: ' || sqlerrm;
        end $$
        """
}
