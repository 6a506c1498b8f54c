import Foundation
import Postgres
import Records
import TestSupport
import Testing

/// Expressions over random values mean here what they mean to PostgreSQL.
///
/// `MILLRACE_EXPRESSION_CASES` sets how many random expressions are tried, each over eight rows, and
/// `MILLRACE_EXPRESSION_ROWS` how many rows the whole matrix is tried on; `MILLRACE_TEST_SEED` repeats a run.
/// What is left out, being meant to differ, is in the README of Expressions.
@Suite struct OracleTests {
    private static func setting(_ name: String) -> UInt64? {
        ProcessInfo.processInfo.environment["MILLRACE_EXPRESSION_\(name)"].flatMap { UInt64($0) }
    }

    /// No entry of the matrix may have fewer comparisons.
    private static let leastComparisons = 200

    @Test func everyOperatorAndFunctionMeansWhatItMeansToPostgreSQL() async throws {
        let seed = TestSeed.next()
        var random = RandomSource(seed: seed)
        let table = OracleTable(rows: Int(Self.setting("ROWS") ?? 200), &random)
        let entries = CoverageMatrix.entries
        let expressions = entries.flatMap(\.expressions)
        let theirs = try await Self.ask(table, expressions)
        var comparison = Comparison(table, theirs)
        for entry in entries {
            let (compared, values) = comparison.compare(entry.expressions, of: entry.name)
            #expect(compared >= Self.leastComparisons, "\(entry.name) is compared too seldom")
            let mayBeEmpty = entry.name.contains("::")
            #expect(values > 0 || mayBeEmpty, "\(entry.name) never gave a value: the matrix shows nothing of it")
        }
        comparison.report(seed)
        Self.say("\(entries.count) entries of the matrix, \(comparison.compared) comparisons, seed \(seed)")
    }

    /// A run by chance, and those that found a difference once.
    @Test(arguments: [nil, 964_720] as [UInt64?])
    func expressionsMeanWhatPostgreSQLMeans(_ known: UInt64?) async throws {
        let count = Int(Self.setting("CASES") ?? 480)
        let seed = known ?? TestSeed.next()
        var generator = ExpressionGenerator(random: RandomSource(seed: seed))
        var compared = 0
        for _ in stride(from: 0, to: count, by: 240) {
            let table = OracleTable(rows: 8, &generator.random)
            let expressions = (0..<240).map { _ in generator.any(3) }
            var comparison = Comparison(table, try await Self.ask(table, expressions))
            for expression in expressions { compared += comparison.compare([expression], of: "").compared }
            comparison.report(seed)
        }
        #expect(compared >= count * 7)
        Self.say("\(compared) comparisons of random expressions, seed \(seed)")
    }

    /// The many ways in which a text may follow a format, or not quite.
    @Test func timesAreReadAsPostgreSQLReadsThem() async throws {
        let seed = TestSeed.next()
        var random = RandomSource(seed: seed)
        let rows = Int(Self.setting("ROWS") ?? 200) * 10
        let table = OracleTable(rows: rows, &random)
        let expressions = ["to_timestamp(stamp, mask)", "to_date(stamp, mask)"]
        var comparison = Comparison(table, try await Self.ask(table, expressions), shown: 20)
        for expression in expressions {
            // Half of the texts fit their formats well enough to be read.
            #expect(comparison.compare([expression], of: "").values > rows / 4)
        }
        comparison.report(seed)
        Self.say("\(comparison.compared) readings of times, seed \(seed)")
    }

    /// What the database's collation would decide if a condition did not say it, and what goes by "C" in any case.
    private static let collated = [
        "(upper(j1 ->> 'a') = 'é')", "(j1 ->> 'a' < 'É')", "('ä' < i1::text)", "(i1::text > 'Ä')", "('ä' > 'Z')",
        "(greatest(j1 ->> 'a', 'z') = 'é')", "(least('ä', i1::text, 'Z') = 'Z')", "(j1 ->> 'a' between 'É' and 'z')",
        "(i1::text || 'ä' not between symmetric 'É' and 'z')", "((j1 ->> 'a') ilike 'É')", "(u1::text || 'ä' ~~* '%Ä')",
        "((j1 ->> 'a') ~* 'É')", "((j1 ->> 'a') !~ '\\w')", "(upper('ä') = 'ä')",
        "(initcap(concat(i1, ' ä')) like '%ä')",
        "(regexp_replace(i1 || 'ä', '[[:alpha:]]', '-') like '%-')", "(regexp_like('É', 'é', 'i'))",
        "(substring(i1 || 'ä' from '\\w+$') is null)", "(i1 || 'ä' similar to '%\\w')", "(g1 ~* '^ä')", "(g1 ~ '\\W')",
        "(g1 similar to '[[:upper:]]%')", "(regexp_count(g1, 'ä', 1, 'i') = 1)", "(g1 in ('Ä', 'ärger'))",
        "(j1 ->> 'a' in ('É', 'é'))", "(nullif(j1 ->> 'a', 'É') = 'é')",
    ]

    /// A condition that is sent to PostgreSQL, as `where` of rows is, means there what is computed here; also in a
    /// database whose own order and case are others.
    @Test(arguments: [nil, "en-US"]) func conditionsWrittenAsSQLMeanTheSame(_ locale: String?) async throws {
        let seed = TestSeed.next()
        var random = RandomSource(seed: seed)
        let table = OracleTable(rows: 24, &random)
        // The digest makes a condition of any value: of different ones it differs in one bit of two.
        let conditions =
            CoverageMatrix.entries.flatMap(\.expressions).map { "(md5((\($0))::text) < '8')" } + Self.collated
        let written = conditions.map { table.condition($0) }
        for (condition, sql) in zip(Self.collated, written.suffix(Self.collated.count)) {
            #expect(sql != nil, "\(condition) is refused")
        }
        let both = zip(conditions, written).compactMap { condition, sql in sql.map { (condition, $0) } }
        var comparison = Comparison(table, try await Self.ask(table, both.map(\.1), icuLocale: locale))
        for (condition, sql) in both { _ = comparison.compare([condition], of: sql) }
        #expect(both.count > 500)
        comparison.report(seed)
    }

    private static func say(_ line: String) { FileHandle.standardError.write(Data("oracle: \(line)\n".utf8)) }

    private static func ask(
        _ table: OracleTable, _ expressions: [String], icuLocale: String? = nil
    ) async throws -> [String] {
        let database = try await TemporaryPostgres.shared().database(icuLocale: icuLocale)
        try await database.administer(
            "\(OracleTable.preparation); grant all on oracle_row to \(TemporaryPostgres.role)")
        return try await database.withPool(size: 1) { pool in
            try await pool.withConnection { connection in
                try await connection.execute(script: "set extra_float_digits = 1; " + table.filling)
                let result = try await connection.query(
                    PostgresQuery(unsafeText: OracleTable.question, [.textArray(expressions.map { $0 })]))
                return try (0..<result.rowCount).map { try result[$0].text(0) }
            }
        }
    }
}

/// Holds PostgreSQL's answers, in the order of the expressions, against ours.
private struct Comparison {
    private let table: OracleTable
    private let batch: RecordBatch
    private let theirs: [String]
    /// Of an expression so many rows that differ are told.
    private let shown: Int
    private(set) var compared = 0
    /// The place among PostgreSQL's answers.
    private var index = 0
    private var differences: [String] = []

    init(_ table: OracleTable, _ theirs: [String], shown: Int = 1) {
        (self.table, self.theirs, self.shown) = (table, theirs, shown)
        batch = table.batch
    }

    /// Answers how many rows were compared, and how many of them had a value.
    mutating func compare(_ expressions: [String], of entry: String) -> (compared: Int, values: Int) {
        let before = compared
        var values = 0
        for expression in expressions {
            let ours = table.answers(expression, over: batch)
            var noted = 0
            for row in ours.indices {
                let wanted = theirs[index]
                index += 1
                if OracleTable.isExcluded(ours[row]) { continue }
                compared += 1
                if wanted.hasPrefix("=") { values += 1 }
                guard !OracleTable.agree(wanted, ours[row]), noted < shown else { continue }
                noted += 1
                let words = Set(expression.split { !$0.isLetter && !$0.isNumber }.map(String.init))
                let inputs = zip(OracleTable.columns, table.values)
                    .filter { words.contains($0.0.name) }.map { "\($0.0.name)=\($0.1[row] ?? "null")" }
                differences.append(
                    "\(entry)  \(expression)\n  with \(inputs.joined(separator: " | "))\n  PostgreSQL \(wanted)\n"
                        + "  here \(ours[row])")
            }
        }
        return (compared - before, values)
    }

    func report(_ seed: UInt64) {
        let shown = differences.prefix(40).joined(separator: "\n")
        #expect(
            differences.isEmpty, "seed \(seed): \(differences.count) expressions of \(compared) rows differ:\n\(shown)")
    }
}
