import Records

/// Values at the edges of each type, as PostgreSQL's input functions read them.
enum ValuePool {
    static func value(_ column: OracleTable.Source, _ random: inout RandomSource) -> String? {
        if random.chance(column.pool == nil ? 12 : 4) { return nil }
        if let pool = column.pool { return random.pick(pool) }
        switch column.type {
        case .int8: return random.chance(60) ? random.pick(integers) : String(Int64(random.below(2000)) - 1000)
        case .float8: return random.chance(70) ? random.pick(floats) : "\(Double(random.below(200_000) - 100_000) / 64)"
        case .numeric: return random.chance(60) ? random.pick(numerics) : randomNumeric(&random)
        case .text: return random.pick(texts)
        case .bool: return random.chance(50) ? "true" : "false"
        case .timestamptz: return random.pick(timestamps)
        case .date: return random.pick(dates)
        case .uuid: return random.pick(uuids)
        case .jsonb: return random.pick(documents)
        }
    }

    private static func randomNumeric(_ random: inout RandomSource) -> String {
        let whole = String(Int64(random.below(1_000_000)) - 500_000)
        let digits = random.below(8)
        guard digits > 0 else { return whole }
        return whole + "." + (0..<digits).map { _ in String(random.below(10)) }.joined()
    }

    private static let integers = [
        "0", "1", "-1", "2", "3", "7", "-7", "10", "100", "1000", "2147483647", "-2147483648", "4611686018427387904",
        "9223372036854775807", "-9223372036854775808", "3037000500",
    ]

    private static let floats = [
        "0", "-0", "1", "-1", "0.1", "0.5", "1.5", "2.5", "-2.5", "3", "1e308", "-1e308", "1e-308", "5e-324", "1e15",
        "1e16", "123456789.123", "1e-5", "NaN", "Infinity", "-Infinity", "9007199254740993", "0.30000000000000004",
    ]

    private static let numerics = [
        "0", "0.00", "1", "-1", "1.50", "0.1", "123.456", "-0.005", "2.5", "-2.5", "99999999999999999999.99",
        "0.00000000000000000001", "1234567890123456789012345678901234567890", "-0.5", "10000", "9999.9999", "NaN",
        "1e30",
        "0.0001", "170141183460469231731687303715884105727", "12345678901234567890.123456789012345678901",
    ]

    private static let texts = [
        "", "a", "abc", "Hello World", "  pad  ", "äöü", "日本語", "a%b_c", "12", "-3.5", "true", "x,y,z", "2024-02-29",
        "foo123bar", "aaa", "A\\B", "😀 smile", "O'Brien", "tab\there", "line\nbreak", "ABC", "abcabc", "1e3",
    ]

    private static let timestamps = [
        "2000-01-01 00:00:00+00", "2024-02-29 12:34:56.789+00", "1970-01-01 00:00:00+00",
        "1999-12-31 23:59:59.999999+00", "0001-01-01 00:00:00+00", "infinity", "-infinity", "2023-06-15 08:00:00+02",
        "1582-10-15 01:02:03.000004+00", "0044-03-15 12:00:00+00 BC", "2024-12-30 06:07:08+00",
        "9999-12-31 23:59:59+00",
    ]

    private static let dates = [
        "2000-01-01", "2024-02-29", "1970-01-01", "1999-12-31", "0001-01-01", "infinity", "-infinity", "2023-06-15",
        "0044-03-15 BC", "2021-01-03", "9999-12-31", "1900-02-28",
    ]

    private static let uuids = [
        "00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ]

    private static let documents = [
        "{\"a\": 1, \"b\": [1, 2, {\"c\": \"x\"}], \"aa\": null}", "[1, \"x\", null, true]", "\"str\"", "5", "null",
        "{}",
        "{\"a\": {\"b\": \"deep\"}, \"b\": \"2\"}", "{\"k\\u00e9y\": \"\\n\\\"q\\\"\", \"a\": \"é\"}", "1.50", "true",
        "{\"zz\":1,\"aa\":2,\"b\":3}", "[]", "[[1,2],[3]]", "1e3", "{\"a\":1,\"a\":[2]}",
    ]
}
