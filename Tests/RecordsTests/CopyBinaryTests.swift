import Postgres
import TestSupport
import Testing

@testable import Records

private func typed(_ batch: RecordBatch, _ types: [ColumnType]) -> RecordBatch {
    var typed = batch
    for (index, type) in types.enumerated() {
        let named = batch.columns[index]
        let cast = named.column.cast(to: type, rows: batch.rows, name: named.name)
        #expect(cast.faults == [])
        typed.columns[index].column = cast.column
    }
    return typed
}

/// A CSV cell in quotes, whatever the type.
private func cell(_ text: String) -> String { text == "NULL" ? "" : "\"\(text.replacing("\"", with: "\"\""))\"" }

@Suite struct CopyBinaryTests {
    /// One column of each type, each row its values as PostgreSQL prints them.
    private static let rows: [[String]] = [
        [
            "a", "1", "0.1", "0", "true", "2026-11-20 13:25:00.000001+00", "2026-11-20",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", #"{"a": [1, "é\n", null]}"#,
        ],
        [
            "", "-9223372036854775808", "-Infinity", "-12345678901234567890.000100", "false", "infinity", "-infinity",
            "00000000-0000-0000-0000-000000000000", "1.50",
        ],
        ["NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"],
        [
            "日本 \"x\"\n\\", "9223372036854775807", "NaN", "NaN", "true", "0001-01-01 00:00:00+00 BC", "5874897-12-31",
            "ffffffff-ffff-ffff-ffff-ffffffffffff", #""x""#,
        ],
        [
            "x", "0", "5e-324", "Infinity", "false", "294276-12-31 23:59:59.999999+00", "4714-11-24 BC",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "[]",
        ],
        ["x", "7", "1e+20", "10000", "false", "-infinity", "infinity", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "true"],
        [
            "x", "7", "123456", "0.00010000", "false", "1999-12-31 23:59:59+00", "1999-12-31",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "{}",
        ],
        [
            "x", "7", "-0", "99990000.9999", "false", "2000-01-01 00:00:00+00", "2000-01-01",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "null",
        ],
        [
            "x", "7", "1.5", "-0.000000000000000000012", "true", "2000-01-01 00:00:00+00", "2000-01-01",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "0",
        ],
    ]

    private static func batch() throws -> RecordBatch {
        let names = ColumnType.allCases.map { "c_\($0.rawValue)" }
        let csv = frame(
            .csv, rows.map { $0.map(cell).joined(separator: ",") }, header: names.joined(separator: ","))
        let (batch, faults) = try RecordDecoder().decode(csv)
        #expect(faults == [])
        return typed(batch, ColumnType.allCases)
    }

    @Test func postgreSQLTakesEveryValue() async throws {
        let batch = try Self.batch()
        let rows = try CopyBinaryEncoder(batch: 1 << 40, output: 3).encode(batch)
        let columns = CopyBinaryEncoder.columnNames(of: batch)
        let found = try await PostgresOracle.with { oracle in
            try await oracle.pool.withConnection { connection in
                let list = batch.columns.map { "\($0.name) \($0.name.dropFirst(2))" }.joined(separator: ", ")
                try await connection.execute(
                    script:
                        "create temp table t (_batch int8, _row int4, _out int4, \(list)); set datestyle = 'ISO, MDY'")
                let count = try await connection.copyIn(
                    "COPY t (\(identifiers: columns)) FROM STDIN (FORMAT binary)"
                ) { writer in
                    try await writer.write(CopyBinaryEncoder.header)
                    try await writer.write(rows)
                    try await writer.write(CopyBinaryEncoder.trailer)
                }
                #expect(count == batch.rowCount)
                let result = try await connection.query("select * from t order by _row", format: .text)
                return try (0..<result.rowCount).map { row in
                    try (0..<columns.count).map { try result[row].optionalText($0) ?? "NULL" }
                }
            }
        }
        let boolean = 4 + CopyBinaryEncoder.lineageColumns.count
        let expected = Self.rows.enumerated().map { index, row in
            var row = ["\(1 << 40)", "\(index)", "3"] + row
            if row[boolean] != "NULL" { row[boolean] = String(row[boolean].prefix(1)) }
            return row
        }
        #expect(found == expected)
    }

    @Test func manyRowsAreEncodedAsEachAlone() throws {
        let batch = try Self.batch()
        let encoder = CopyBinaryEncoder(batch: 1, output: 2)
        let single = try batch.rows.indices.map { try encoder.encode(batch.gathered([$0])) }
        let seed = TestSeed.next()
        var random = SeededGenerator(state: seed)
        for count in [0, 1, 511, 512, 513, 3_000] {
            let indexes = (0..<count).map { _ in Int.random(in: batch.rows.indices, using: &random) }
            #expect(
                try encoder.encode(batch.gathered(indexes)) == indexes.flatMap { single[$0] },
                "seed \(seed), \(count) rows")
        }
    }

    @Test func chunksAreCutIntoRows() throws {
        let batch = try Self.batch()
        let bytes = try CopyBinaryEncoder(batch: -5, output: 7).encode(batch)
        let rows = try CopyBinaryRows(bytes)
        #expect(rows.count == batch.rowCount && rows.offsets.last == bytes.count)
        #expect(Array(rows[0..<4]) + Array(rows[4..<rows.count]) == bytes)
        for row in 0..<rows.count { #expect(rows.lineage(row) == .init(batch: -5, row: Int32(row), output: 7)) }
        #expect(try CopyBinaryRows([]).count == 0)
        for length in 1..<bytes.count where !rows.offsets.contains(length) {
            #expect(throws: RecordsError.self) { try CopyBinaryRows(Array(bytes[..<length])) }
        }
    }

    @Test func untypedColumnsAreRefused() throws {
        let batch = try RecordDecoder().decode(frame(.ndjson, [#"{"a":1}"#])).batch
        let error = #expect(throws: RecordsError.self) { try CopyBinaryEncoder(batch: 1, output: 1).encode(batch) }
        #expect(error?.code == .untypedColumn)
    }

    @Test func manyRowsInBlocks() throws {
        let count = 3000
        let (batch, _) = try RecordDecoder().decode(
            frame(
                .ndjson,
                (0..<count).map {
                    $0 % 3 == 0 ? "{}" : #"{"a":\#($0),"b":"\#(String(repeating: "x", count: $0 % 50))"}"#
                }))
        let bytes = try CopyBinaryEncoder(batch: 1, output: 1).encode(typed(batch, [.int8, .text]))
        let rows = try CopyBinaryRows(bytes)
        #expect(rows.count == count)
        for row in 0..<count {
            let length = rows[row..<row + 1].count
            #expect(length == (row % 3 == 0 ? 38 : 38 + 8 + row % 50), "row \(row)")
        }
    }
}
