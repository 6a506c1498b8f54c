import Postgres
import Synchronization
import Testing

@testable import Records

/// What PostgreSQL sends by COPY, as typed columns, beside what it prints.
@Suite struct CopyBinaryDecoderTests {
    private static let columns = ColumnType.allCases.map { (name: "c_\($0.rawValue)", type: $0) }

    /// Text as PostgreSQL reads it, one array a row, in the order of the types.
    private static let rows: [[String?]] = [
        [
            "a", "1", "0.1", "0", "t", "2026-11-20 13:25:00.000001+00", "2026-11-20",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", #"{"a": [1, "é\n", null]}"#,
        ],
        [
            "", "-9223372036854775808", "-Infinity", "-12345678901234567890.000100", "f", "infinity", "-infinity",
            "00000000-0000-0000-0000-000000000000", "1.50",
        ],
        [nil, nil, nil, nil, nil, nil, nil, nil, nil],
        [
            "日本 \"x\"\n\\", "9223372036854775807", "NaN", "NaN", "t", "0001-01-01 00:00:00+00 BC", "5874897-12-31",
            "ffffffff-ffff-ffff-ffff-ffffffffffff", #""x""#,
        ],
        [
            "x", "0", "5e-324", "Infinity", "f", "294276-12-31 23:59:59.999999+00", "4714-11-24 BC",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "[]",
        ],
    ]

    private static let numerics = [
        "0", "0.0", "0.00000", "1", "-1", "10000", "9999", "99990000", "100000000.0001", "0.1", "0.0001", "0.00001",
        "0.000000000000000000012", "-0.000000000000000000012", "-Infinity", "1e100", "1e-100", "12345.678900", "10",
        "99990000.9999", "1000000000000000000000000000000.000000000000000000001", "0.12345678", "7.00000",
    ]

    private static func copy(_ select: PostgresQuery, _ columns: [(name: String, type: ColumnType)]) async throws
        -> (CopyBinaryDecoder, [UInt8])
    {
        try await PostgresOracle.with { oracle in
            try await oracle.pool.withConnection { connection in
                let pieces = Mutex<[UInt8]>([])
                let copy: PostgresQuery = "copy (\(unsafeText: select.sql)) to stdout (format binary)"
                try await connection.copyOut(copy) { piece in pieces.withLock { $0 += piece } }
                let bytes = pieces.withLock { $0 }
                var decoder = CopyBinaryDecoder(columns: columns)
                // In pieces that have nothing to do with rows.
                for start in stride(from: 0, to: bytes.count, by: 7) {
                    decoder.append(Array(bytes[start..<min(bytes.count, start + 7)]))
                }
                return (decoder, bytes)
            }
        }
    }

    private static func literal(_ value: String?, _ type: ColumnType) -> String {
        value.map { PostgresQuery.quoted(literal: $0) + "::" + type.rawValue } ?? "null::\(type.rawValue)"
    }

    @Test func everyTypeIsWhatPostgreSQLPrints() async throws {
        let selects = Self.rows.map { row in
            "select " + zip(row, ColumnType.allCases).map(Self.literal).joined(separator: ", ")
        }
        let (decoder, _) = try await Self.copy(
            PostgresQuery(unsafeText: selects.joined(separator: " union all ")), Self.columns)
        let batch = try decoder.finish()
        #expect(batch.rows == [0, 1, 2, 3, 4])
        let texts = batch.columns.map { TextOutput.texts(of: $0.column) }
        for (row, expected) in Self.rows.enumerated() {
            let found = batch.columns.indices.map { place -> String? in
                guard batch.columns[place].column.isPresent(row) else { return nil }
                let text = texts[place].string(row)
                return ColumnType.allCases[place] == .bool ? String(text.prefix(1)) : text
            }
            #expect(found == expected)
        }
    }

    @Test func everyNumericKeepsItsDigits() async throws {
        let array = "unnest(array[\(Self.numerics.map { "'\($0)'" }.joined(separator: ","))]) n"
        let (decoder, _) = try await Self.copy(
            PostgresQuery(unsafeText: "select n::numeric from \(array)"), [("n", .numeric)])
        let found = TextOutput.texts(of: try decoder.finish().columns[0].column)
        let expected = try await PostgresOracle.with { oracle in
            try await oracle.pool.withConnection { connection in
                let printed = PostgresQuery(unsafeText: "select n::numeric::text from \(array)")
                let result = try await connection.query(printed, format: .text)
                return try (0..<result.rowCount).map { try result[$0].text(0) }
            }
        }
        #expect((0..<found.count).map { found.string($0) } == expected)
    }

    @Test func whatIsLeftOverHasNoColumn() async throws {
        let (decoder, bytes) = try await Self.copy(
            #"select 5::int8, '{"x": 1}'::jsonb union all select 6, null"#, [("n", .int8), ("_extra", .jsonb)])
        _ = decoder
        var read = CopyBinaryDecoder(columns: [("n", .int8), ("_extra", .jsonb)], extra: "_extra")
        read.append(bytes)
        let batch = try read.finish()
        #expect(batch.columns.map(\.name) == ["n"])
        #expect(batch.extra?.validity == [1, 0])
        #expect(batch.extra.map { TextOutput.texts(of: $0).string(0) } == #"{"x": 1}"#)
    }

    @Test func damagedBytesAreRefused() async throws {
        let (_, bytes) = try await Self.copy("select 5::int8, 'abc'::text, 1.5::numeric", [])
        let columns: [(name: String, type: ColumnType)] = [("n", .int8), ("t", .text), ("d", .numeric)]
        for length in 0..<bytes.count {
            var decoder = CopyBinaryDecoder(columns: columns)
            decoder.append(Array(bytes[..<length]))
            #expect(throws: RecordsError.self) { try decoder.finish() }
        }
        // Another type, another number of columns, and any one byte changed: an error or a value, never a trap.
        for wrong: [(name: String, type: ColumnType)] in [
            [("n", .bool), ("t", .text), ("d", .numeric)], [("n", .int8)],
        ] {
            var decoder = CopyBinaryDecoder(columns: wrong)
            decoder.append(bytes)
            #expect(throws: RecordsError.self) { try decoder.finish() }
        }
        for place in bytes.indices {
            for value in [0x00, 0x01, 0x7F, 0x80, 0xFF] as [UInt8] {
                var changed = bytes
                changed[place] = value
                var decoder = CopyBinaryDecoder(columns: columns)
                decoder.append(changed)
                _ = try? decoder.finish()
            }
        }
    }
}
