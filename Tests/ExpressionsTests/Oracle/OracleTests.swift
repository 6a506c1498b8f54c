import Foundation
import Postgres
import TestSupport
import Testing

/// Random expressions over random values mean here what they mean to PostgreSQL.
///
/// `MILLRACE_EXPRESSION_CASES` sets how many expressions are tried, each over eight rows; `MILLRACE_EXPRESSION_SEED`
/// repeats a run. Left out, as differences that are meant: constant parts that fail although no row needs them,
/// captures among alternatives, and jsonb || jsonb.
@Suite struct OracleTests {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) }
    }

    /// A run by chance, and those that found a difference once.
    @Test(arguments: [nil, 964_720] as [UInt64?])
    func expressionsMeanWhatPostgreSQLMeans(_ known: UInt64?) async throws {
        let count = Int(Self.setting("MILLRACE_EXPRESSION_CASES") ?? 480)
        let seed = known ?? Self.setting("MILLRACE_EXPRESSION_SEED") ?? UInt64.random(in: 1...1_000_000)
        let database = try await TemporaryPostgres.shared().database()
        try await database.administer(
            "\(OracleTable.preparation); grant all on oracle_row to \(TemporaryPostgres.role)")
        var generator = ExpressionGenerator(random: RandomSource(seed: seed))
        var differences: [String] = []
        var compared = 0
        for _ in stride(from: 0, to: count, by: 40) {
            let table = OracleTable(&generator.random)
            let batch = table.batch
            let expressions = (0..<40).map { _ in generator.any(3) }
            let theirs = try await Self.ask(database, table, expressions)
            for (number, expression) in expressions.enumerated() {
                let ours = table.answers(expression, over: batch)
                for row in ours.indices {
                    compared += 1
                    let wanted = theirs[number * OracleTable.rowCount + row]
                    guard !OracleTable.agree(wanted, ours[row]) else { continue }
                    let inputs = zip(OracleTable.columns, table.values)
                        .filter { expression.contains($0.0.name) }.map { "\($0.0.name)=\($0.1[row] ?? "null")" }
                    differences.append(
                        "\(expression)\n  with \(inputs.joined(separator: " | "))\n  PostgreSQL \(wanted)\n"
                            + "  here \(ours[row])"
                    )
                }
            }
        }
        #expect(compared >= count * OracleTable.rowCount)
        let shown = differences.prefix(10).joined(separator: "\n")
        #expect(
            differences.isEmpty,
            "seed \(seed): \(differences.count) of \(compared) differ:\n\(shown)"
        )
    }

    private static func ask(
        _ database: TestDatabase, _ table: OracleTable, _ expressions: [String]
    ) async throws -> [String] {
        try await database.withPool(size: 1) { pool in
            try await pool.withConnection { connection in
                try await connection.execute(script: table.filling)
                let result = try await connection.query(
                    PostgresQuery(unsafeText: OracleTable.question, [.textArray(expressions.map { $0 })]))
                return try (0..<result.rowCount).map { try result[$0].text(0) }
            }
        }
    }
}
