import Postgres
import TestSupport
import Testing

/// Sends one value and reads it back, as itself and as the text PostgreSQL makes of it.
private struct Echo: PostgresStatement {
    static let sql = "select $1, $1::text"
    let value: PostgresValue
    var parameters: [PostgresValue] { [value] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String {
        try row.optionalText(1) ?? "NULL"
    }
}

@Suite struct ValueTests {
    @Test(
        arguments: [
            (.bool(true), "true"), (.int2(-32768), "-32768"), (.int4(Int32.max), "2147483647"),
            (.int8(Int64.min), "-9223372036854775808"), (.float8(0.1), "0.1"), (.float8(-.infinity), "-Infinity"),
            (.text("größe 数据 \u{1F600}"), "größe 数据 \u{1F600}"), (.text(""), ""), (.bytes([]), "\\x"),
            (.bytes([0, 255, 92]), "\\x00ff5c"), (.json(Array(#"{"a": [1, null]}"#.utf8)), #"{"a": [1, null]}"#),
            (.timestamp(microsSince2000: 1), "2000-01-01 00:00:00.000001+00"),
            (.timestamp(microsSince2000: .max), "infinity"), (.date(daysSince2000: -1), "1999-12-31"),
            (.interval(.milliseconds(1500)), "00:00:01.5"),
            (.uuid(Array(0..<16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"), (.boolArray([true, false]), "{t,f}"),
            (.int2Array([1, -1]), "{1,-1}"), (.int4Array([]), "{}"),
            (.int8Array([1, .max]), "{1,9223372036854775807}"),
            (.optionalInt8Array([nil, 7]), "{NULL,7}"), (.float8Array([1.5]), "{1.5}"),
            (.textArray(["a,b", nil, ""]), #"{"a,b",NULL,""}"#), (.byteaArray([[1], []]), #"{"\\x01","\\x"}"#),
            (.jsonArray([Array("1".utf8)]), "{1}"),
            (.timestampArray(microsSince2000: [0]), #"{"2000-01-01 00:00:00+00"}"#),
        ] as [(PostgresValue, String)])
    func isUnderstoodByTheServer(value: PostgresValue, text: String) async throws {
        try await withConnection { connection, _ async throws in
            #expect(try await connection.query(Echo(value: value)) == [text])
        }
    }

    @Test func readsWhatTheServerSends() async throws {
        try await withConnection { connection, _ async throws in
            let row = try await connection.query(
                """
                select 1::int2, 2::int4, 3::int8, 1.5::float4, 2.5::float8, true, 'x'::name, '\\x00ff'::bytea,
                    '{"a":1}'::jsonb, '[1]'::json, '2000-01-02'::date, '2000-01-01 00:00:01Z'::timestamptz,
                    '00010203-0405-0607-0809-0a0b0c0d0e0f'::uuid, null::text
                """)[0]
            #expect(try (row.int2(0), row.int4(1), row.int8(2)) == (1, 2, 3))
            #expect(try (row.int(0), row.int8(1), row.int(2)) == (1, 2, 3))
            #expect(try (row.float8(3), row.float8(4), row.bool(5), row.text(6)) == (1.5, 2.5, true, "x"))
            #expect(try row.bytes(7) == [0, 255])
            #expect(try row.json(8) == Array(#"{"a": 1}"#.utf8) && row.text(8) == #"{"a": 1}"#)
            #expect(try row.json(9) == Array("[1]".utf8))
            #expect(try (row.date(10), row.timestamp(11)) == (1, 1_000_000))
            #expect(try row.uuid(12) == Array(0..<16))
            #expect(try row.isNull(13) && row.optionalText(13) == nil)
        }
    }

    @Test func readsArrays() async throws {
        try await withConnection { connection, _ async throws in
            let row = try await connection.query(
                """
                select '{1,2}'::int4[], '{}'::int8[], '{3,NULL}'::int8[], '{1.5}'::float8[], '{a,NULL}'::text[],
                    array['\\x01'::bytea, ''], '{{1},{2}}'::int8[], '{x,""}'::text[]
                """)[0]
            #expect(try (row.int4Array(0), row.int8Array(1), row.int8ArrayOfOptionals(2)) == ([1, 2], [], [3, nil]))
            #expect(try row.float8Array(3) == [1.5])
            #expect(try row.textArrayOfOptionals(4) == ["a", nil])
            #expect(try row.byteaArray(5) == [[1], []])
            #expect(try row.textArray(7) == ["x", ""])
            // A NULL where none is allowed, and a second dimension.
            #expect(throws: PostgresError.self) { try row.int8Array(2) }
            #expect(throws: PostgresError.self) { try row.int8Array(6) }
        }
    }

    @Test func refusesAnotherType() async throws {
        try await withConnection { connection, _ async throws in
            let row = try await connection.query(
                "select 1.5::float8 as f, 'x'::text as t, 5::int8 as i, null::int4 as n")[0]
            #expect(throws: PostgresError.self) { try row.int8(0) }
            #expect(throws: PostgresError.self) { try row.bytes(1) }
            #expect(throws: PostgresError.self) { try row.int4(2) }
            #expect(throws: PostgresError.self) { try row.text(2) }
            let error = #expect(throws: PostgresError.self) { try row.int4(3) }
            #expect(error?.code == .decode)
            #expect(error?.message == "column 3 (n) is null")
        }
    }

    @Test func bindsFourMebibytes() async throws {
        try await withConnection { connection, _ async throws in
            let chunk = (0..<(4 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let row = try await connection.query(
                "select length(\(.bytes(chunk))), \(.bytes(chunk)), \(.int8(7)), \(.bytes([]))")[0]
            #expect(try row.int4(0) == 4 << 20)
            #expect(try row.bytes(1) == chunk)
            #expect(try (row.int8(2), row.bytes(3)) == (7, []))
        }
    }

    @Test func quotesNamesAndLiterals() async throws {
        try await withConnection { connection, _ async throws in
            let name = #"we"ird \ name"#
            let text = #"it's \ "so""#
            let result = try await connection.query("select \(literal: text) as \(identifier: name)")
            #expect(result.columns[0].name == name)
            #expect(try result[0].text(0) == text)
        }
    }
}
