import JSON
import Testing

extension QueryServiceTests {
    /// What values look like in answers.
    @Suite struct ValueTests {
        @Test func everyTypeIsRenderedAsTheConventionsSay() async throws {
            let cases: [(String, String)] = [
                ("9223372036854775807::int8", "9223372036854775807"), ("-5::int2", "-5"), ("7::int4", "7"),
                ("0.10::numeric", "0.10"),
                (
                    "12345678901234567890.123456789::numeric",
                    "12345678901234567890.123456789"
                ),
                ("'NaN'::numeric", "\"NaN\""), ("'Infinity'::numeric", "\"Infinity\""), ("0.1::float8", "0.1"),
                ("0.1::float4", "0.1"), ("1e300::float8", "1e+300"), ("1.5e-10::float8", "1.5e-10"),
                ("'NaN'::float8", "\"NaN\""), ("'-Infinity'::float8", "\"-Infinity\""), ("true", "true"),
                ("false", "false"), ("null::int8", "null"), ("''::text", "\"\""),
                ("E'a\"b\\\\c\\n\\t\\u0001é'", #""a\"b\\c\n\t\u0001é""#),
                (
                    "'{\"b\":1, \"a\":[1,null]}'::jsonb",
                    #"{"a": [1, null], "b": 1}"#
                ), ("E'{\"a\":\\n1}'::json", "{\"a\": 1}"),
                ("timestamptz '2026-11-20 13:25:00.5+02'", "\"2026-11-20T11:25:00.5Z\""),
                ("timestamptz '2026-11-20 13:25:00.123456Z'", "\"2026-11-20T13:25:00.123456Z\""),
                ("'infinity'::timestamptz", "\"infinity\""),
                (
                    "timestamptz '0044-03-15 00:00:00Z BC'",
                    "\"0044-03-15T00:00:00Z BC\""
                ),
                (
                    "timestamptz '12026-01-02 03:04:05Z'",
                    "\"12026-01-02T03:04:05Z\""
                ),
                ("timestamp '2026-11-20 13:25:00'", "\"2026-11-20T13:25:00\""), ("date '2026-11-20'", "\"2026-11-20\""),
                ("time '13:25:00'", "\"13:25:00\""), ("interval '1 day 2 hours'", "\"1 day 02:00:00\""),
                ("'6ba7b810-9dad-11d1-80b4-00c04fd430c8'::uuid", "\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\""),
                ("'\\xdeadbeef'::bytea", #""\\xdeadbeef""#), ("array[1,null,3]", "[1,null,3]"),
                ("array[[1,2],[3,4]]", "[[1,2],[3,4]]"), ("array[]::int8[]", "[]"),
                (
                    "array['a,b','c\"d','NULL',null,'','x y','{}','\\']",
                    #"["a,b","c\"d","NULL",null,"","x y","{}","\\"]"#
                ),
                ("array[true,false]", "[true,false]"), ("array[0.5,'NaN']::float8[]", "[0.5,\"NaN\"]"),
                ("array[timestamptz '2026-01-02 03:04:05Z']", "[\"2026-01-02T03:04:05Z\"]"),
                ("array['{\"a\": [1, \"x\"]}']::jsonb[]", #"[{"a": [1, "x"]}]"#),
                ("'[0:1]={5,6}'::int4[]", "[5,6]"), ("int4range(1, 5)", "\"[1,5)\""), ("row(1, 'a')", "\"(1,a)\""),
                ("'10.0.0.1'::inet", "\"10.0.0.1\""), ("b'101'", "\"101\""),
            ]
            let values = cases.map(\.0).joined(separator: ", ")
            try await QueryServer.run { server in
                let answer = try await server.query("select " + values)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(answer.contentType == "application/json")
                for (index, (sql, expected)) in cases.enumerated() {
                    let single = try await server.query("select \(sql)")
                    #expect(single.text.contains("\"rows\":[[\(expected)]]"), "\(sql): \(single.text)")
                    #expect(answer.rows[0]?[index] != nil)
                }
            }
        }

        @Test func numbersAsStringsOnRequest() async throws {
            try await QueryServer.run { server in
                let sql = """
                    select 9007199254740991::int8, 9007199254740992::int8, -9007199254740992::int8, 1.50::numeric,
                        3::int4, 0.1::float8, array[9007199254740993]
                    """
                let strings = try await server.query(sql, target: "/v1/query?numbers=string")
                #expect(
                    strings.rowsText
                        == #"[[9007199254740991,"9007199254740992","-9007199254740992","1.50",3,0.1,"#
                        + #"["9007199254740993"]]]"#
                )
                let plain = try await server.query(sql)
                #expect(
                    plain.rowsText
                        == "[[9007199254740991,9007199254740992,-9007199254740992,1.50,3,0.1,[9007199254740993]]]")
            }
        }

        @Test func columnsCarryNamesAndTypes() async throws {
            try await QueryServer.run { server in
                let answer = try await server.query(
                    "select 1::int8 as a, 'x' as \"B c\", now() as t, array['x'] as l, web as w from web limit 1")
                let columns = String(decoding: (answer.json["columns"] ?? nil).serialized(), as: UTF8.self)
                #expect(
                    columns == #"[{"name":"a","type":"int8"},{"name":"B c","type":"text"},"#
                        + #"{"name":"t","type":"timestamptz"},{"name":"l","type":"text[]"},{"name":"w","type":"web"}]"#)
                let nothing = try await server.query("select id from web where id < 0")
                #expect(nothing.text.hasPrefix(#"{"columns":[{"name":"id","type":"int8"}],"rows":[],"row_count":0,"#))
            }
        }

        @Test func parametersTakeTheTypesOfTheStatement() async throws {
            try await QueryServer.run { server in
                let cases: [(String, JSONValue, String)] = [
                    ("select $1::int8 + 1", [41], "[[42]]"),
                    (
                        "select $1", ["it's; drop table web --"],
                        "[[\"it's; drop table web --\"]]"
                    ),
                    (
                        "select count(*) from web where id = any ($1)",
                        [[1, 2, 200]], "[[2]]"
                    ), ("select $1::jsonb -> 'a'", [["a": [1, "x"]]], "[[[1,\"x\"]]]"),
                    (
                        "select $1::bool, $2::float8, $3::text, $4::timestamptz",
                        [true, 1.5, nil, "2026-01-01T00:00:00Z"],
                        "[[true,1.5,null,\"2026-01-01T00:00:00Z\"]]"
                    ),
                    (
                        "select $1::text[]", [["a\"b", nil, "c,d\\"]],
                        #"[[["a\"b",null,"c,d\\"]]]"#
                    ), ("select id from web order by id limit $1", [2], "[[1],[2]]"),
                    ("select $1::text", [""], "[[\"\"]]"), ("select $1::numeric", [1e2], "[[100]]"),
                ]
                for (sql, params, rows) in cases {
                    let answer = try await server.query(sql, params)
                    #expect(answer.rowsText == rows, "\(sql): \(answer.text)")
                }
                // Those that are not there, and those that the statement does not take.
                for (sql, params, position) in [
                    ("select $2::int8", [1], 8), ("select 'ä', $1", [], 13), ("select $1::int8", [1, 2], nil),
                    ("select 1", [1], nil), ("select $0", [], 8),
                ] as [(String, JSONValue, Int?)] {
                    let missing = try await server.query(sql, params)
                    #expect(missing.status == 422 && missing.code == "invalid_query", "\(sql): \(missing.text)")
                    #expect(missing.json["position"]?.int == position, "\(sql): \(missing.text)")
                }
                let absent = try await server.query("select 1 from absent")
                #expect(absent.code == "invalid_query" && absent.text.contains("when the first record is stored in it"))
                let wrong = try await server.query("select $1::int8", ["x"])
                #expect(wrong.code == "query_failed" && wrong.json["sqlstate"]?.string == "22P02")
            }
        }
    }
}
