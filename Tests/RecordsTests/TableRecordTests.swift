import Postgres
import Synchronization
import Testing

@testable import Records

/// Rows of tables as records, and back: what was quarantined of a table must come back as it was.
@Suite struct TableRecordTests {
    private static let columns = ColumnType.allCases.map { (name: "c_\($0.rawValue)", type: $0) }

    /// Rows of PostgreSQL: of each type values at its ends, in the order of `ColumnType.allCases`, and `_extra`.
    private static let rows = [
        """
        ('a "b" \\ c', 1, 0.1, 0, true, '2026-11-20 13:25:00.000001+00', '2026-11-20',
            'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a": [1, "é\\n", null]}', '{"left": {"x": 1.50}, "c_int8": 1}')
        """,
        """
        ('', -9223372036854775808, '-Infinity', -12345678901234567890.000100, false, 'infinity', '-infinity',
            '00000000-0000-0000-0000-000000000000', '1.50', null)
        """,
        "(null, null, null, null, null, null, null, null, null, null)",
        """
        (E'日本\\n\\t\\u0001', 9223372036854775807, 'NaN', 'NaN', true, '0001-01-01 00:00:00+00 BC', '5874897-12-31',
            'ffffffff-ffff-ffff-ffff-ffffffffffff', '"x"', '{}')
        """,
        """
        ('null', 0, '-0', 'Infinity', false, '294276-12-31 23:59:59.999999+00', '4714-11-24 BC',
            'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'null', '{"_extra": {"_extra": null}}')
        """,
        """
        ('1', 5, 5e-324, 0.00000, null, '-infinity', null, null, '[1e400, -0]', '{"": "", "_row": [1]}')
        """,
        """
        ('{"a": 1}', -1, 1.7976931348623157e308, 1e-100, null, '1999-12-31 23:59:59.9+00', 'infinity', null, 'true',
            null)
        """,
    ]

    private static func read() async throws -> RecordBatch {
        try await PostgresOracle.with { oracle in
            try await oracle.pool.withConnection { connection in
                let types = columns.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")
                let values = rows.joined(separator: ", ")
                try await connection.execute(
                    script: "create temporary table t (\(types), _extra jsonb); insert into t values \(values)")
                let pieces = Mutex<[UInt8]>([])
                try await connection.copyOut("copy t to stdout (format binary)") { piece in
                    pieces.withLock { $0 += piece }
                }
                var decoder = CopyBinaryDecoder(rows: columns)
                decoder.append(pieces.withLock { $0 })
                return try decoder.finish()
            }
        }
    }

    private static func frame(_ batch: RecordBatch) -> BatchFrame {
        var frame = BatchFrame(format: .ndjson)
        for row in 0..<batch.rowCount {
            var record: [UInt8] = []
            TableRecord.append(batch, row, into: &record)
            frame.append(record: record)
        }
        return frame
    }

    /// Of each row each value as PostgreSQL prints it, `-` for NULL.
    private static func texts(_ batch: RecordBatch) -> [[String]] {
        let columns = batch.columns.map(\.column) + (batch.extra.map { [$0] } ?? [])
        let texts = columns.map { TextOutput.texts(of: $0) }
        return (0..<batch.rowCount).map { row in
            columns.indices.map { columns[$0].isPresent(row) ? texts[$0].string(row) : "-" }
        }
    }

    @Test func everyValueComesBackAsItWas() async throws {
        let batch = try await Self.read()
        #expect(batch.rowCount == Self.rows.count)
        let (found, faults) = try TableRecord.decode(Self.frame(batch), Self.columns)
        #expect(faults == [])
        #expect(found.rows == batch.rows)
        #expect(found.columns.map(\.name) == Self.columns.map(\.name))
        #expect(found.columns.map(\.column.type) == batch.columns.map(\.column.type))
        #expect(Self.texts(found) == Self.texts(batch))
        // Of jsonb null is a value.
        #expect(Self.texts(found)[4][8] == "null" && Self.texts(found)[2][8] == "-")
        #expect(Self.texts(found)[4][2] == "-0")
    }

    @Test func aRecordIsOneObjectWithoutNulls() throws {
        let batch = RecordBatch(
            rows: [0, 1],
            columns: [
                NamedColumn("n", Column(.int8, .int64([1, 0]), validity: [1, 0])),
                NamedColumn("t\"", Column(.text, .bytes(ByteColumn(["a", "b"])))),
            ],
            extra: Column(.jsonb, .bytes(ByteColumn(["", #"{"x":2}"#])), validity: [0, 1]))
        let frame = Self.frame(batch)
        #expect(
            String(decoding: frame.bytes, as: UTF8.self) == """
                {"n":1,"t\\"":"a"}
                {"t\\"":"b","_extra":{"x":2}}

                """)
    }

    /// Columns that came, went, or changed their type since; and what was cut.
    @Test func columnsMayHaveChanged() throws {
        var frame = BatchFrame(format: .ndjson)
        for record in [
            #"{"a":1,"b":"x","gone":[1]}"#, #"{"a":"y","b":"z"}"#, #"{"a":2.5,"b":null,"_extra":{"q":1}}"#, #"{"a":3"#,
            #"{"_other":1,"a":4}"#,
        ] { frame.append(record: Array(record.utf8)) }
        let (batch, faults) = try TableRecord.decode(frame, [("a", .numeric), ("b", .text), ("new", .date)])
        #expect(batch.rows == [0, 2, 4])
        #expect(Self.texts(batch) == [["1", "x", "-", "-"], ["2.5", "-", "-", #"{"q":1}"#], ["4", "-", "-", "-"]])
        #expect(faults.map(\.row) == [1, 3])
        #expect(faults.map(\.code) == ["invalid_cast", "invalid_json"])
    }

    @Test func noRecordsAreNoRows() throws {
        let (batch, faults) = try TableRecord.decode(BatchFrame(format: .ndjson), Self.columns)
        #expect(batch.rowCount == 0 && faults.isEmpty && batch.columns.count == Self.columns.count)
    }

    @Test func membersOfExtraStandBesideTheColumns() throws {
        var frame = BatchFrame(format: .ndjson)
        for record in [
            #"{"a":1,"_extra":{"a":2,"b":{"c":"}"}}}"#, #"{"a":3"#, #"{"a":4,"_extra":{ }}"#, #"{"a":5}"#,
            #"{"_extra":{"b":6}}"#,
        ] { frame.append(record: Array(record.utf8)) }
        let (batch, faults) = try TableRecord.fields(of: frame)
        #expect(batch.rows == [0, 2, 3, 4])
        #expect(faults.map(\.row) == [1])
        let spread = try #require(TableRecord.spread(frame, batch))
        #expect(spread.recordCount == frame.recordCount)
        let (found, _) = try RecordDecoder().decode(spread)
        #expect(found.rows == batch.rows)
        let texts = try ["a", "b"].map { name in
            let column = try #require(found[name]).cast(to: .text, rows: found.rows, name: name).column
            return (0..<found.rowCount).map { column.isPresent($0) ? TextOutput.texts(of: column).string($0) : "-" }
        }
        #expect(texts == [["1", "4", "5", "-"], [#"{"c":"}"}"#, "-", "-", "6"]])
        var plain = BatchFrame(format: .ndjson)
        plain.append(record: Array(#"{"a":1}"#.utf8))
        #expect(TableRecord.spread(plain, try TableRecord.fields(of: plain).batch) == nil)
    }
}
