@testable import Expressions

/// What is not chosen by types alone.
extension CoverageMatrix {
    static let specials = SpecialCall.allCases.map { call in
        Entry(name: call.rawValue, expressions: expressions(call))
    }

    private static let some: [SQLType] = [
        .int8, .numeric, .float8, .text, .bool, .timestamptz, .timestamp, .date, .uuid,
    ]

    private static func expressions(_ call: SpecialCall) -> [String] {
        let name = call.rawValue
        switch call {
        case .coalesce, .nullif: return some.map { "\(name)(\(column($0, 0)), \(column($0, 1)))" }
        case .greatest, .least:
            return some.map { "\(name)(\(column($0, 0)), \(column($0, 1)), \(column($0, 2)))" } + ["\(name)(i1, n1)"]
        case .concat: return ["concat(t1, i1, n1)", "concat(b1, f1, ts1, t2)", "concat(v1::interval, j1, d1)"]
        case .concatWithSeparator: return ["concat_ws(t1, t2, i1)", "concat_ws(',', b1, t1, d1, u1)"]
        case .countNulls, .countNonNulls: return ["\(name)(i1, t1, b1, n1, j1)", "\(name)(t1)"]
        case .array: return ["array[t1, t2, t3]", "array[t1]", "(j1 #> array[t1, 'a'])"]
        case .similar:
            return ["'%a%'", "'(a|b)_*'", "'[a-c]+'", "'_+'", "'a\\%b%'", "'.*'", "'(x|y|,)*z?'"].map {
                "(t1 similar to \($0))"
            } + ["(t1 not similar to '%l{2}%')", "(t1 similar to 'a#%b%' escape '#')"]
        case .jsonbExtractPath, .jsonbExtractPathText:
            return ["\(name)(j1, 'a')", "\(name)(j1, 'a', 'b')", "\(name)(j1, s1::text)", "\(name)(j1, k1, '0')"]
        case .jsonbBuildArray:
            return some.map { "\(name)(\(column($0, 0)), \(column($0, 1)))" } + [
                "\(name)(j1, v1::interval, p1::text[], null)", "\(name)()",
            ]
        case .jsonbBuildObject: return ["\(name)(t1, t2)", "\(name)('a', i1, t1, n1)", "\(name)(i1, j1, ts1, l1)"]
        case .toJSONB: return (some + [.jsonb, .interval, .textArray]).map { "\(name)(\(column($0, 0)))" }
        default: return regularExpressions(call)
        }
    }

    private static let patterns = [
        "'a'", "'^[a-z]+'", "'[[:digit:]]+'", "'(a|ab)(c|bcd)?'", "'b*'", "'.'", "'^$'", "'\\s+'", "'l{2}'", "'\\mW'",
        "'x|y|z'", "'a+?'", "'\\w+$'", "'ö|本'", "''",
    ]

    private static func regularExpressions(_ call: SpecialCall) -> [String] {
        let name = call.rawValue
        switch call {
        case .regexpLike: return patterns.flatMap { ["\(name)(t1, \($0))", "\(name)(t1, \($0), 'i')"] }
        case .regexpCount: return patterns.flatMap { ["\(name)(t1, \($0))", "\(name)(t1, \($0), s1::int4, 'i')"] }
        case .regexpSubstr:
            return patterns.map { "\(name)(t1, \($0), s1::int4, s2::int4)" } + [
                "\(name)(t1, '([a-z])([a-z])', 1, s1::int4, 'i', 2)", "\(name)(t1, 'o(.*)o', 1, 1, '', s1::int4)",
            ]
        case .regexpInstr:
            return patterns.map { "\(name)(t1, \($0), s1::int4, s2::int4, abs(s3::int4) % 3)" } + [
                "\(name)(t1, 'o')", "\(name)(t1, '([a-z])([a-z])', 1, s1::int4, 0, 'c', 2)",
            ]
        default:
            return patterns.map { "\(name)(t1, \($0), '<\\&>', s1::int4, s2::int4)" }
                + patterns.map { "\(name)(t1, \($0), '<\\&>', 'g')" } + [
                    "\(name)(t1, '([a-z])([a-z])', '\\2\\1')", "\(name)(t1, 'b', '-', s1::int4)",
                    "\(name)(t1, '([a-z])([a-z])', '\\2\\1', 'g')",
                ]
        }
    }

    /// What the grammar makes itself.
    static let forms: [Entry] = [
        Entry(name: "and", expressions: ["(b1 and b2)", "(i1 > 0 and n1 > 0)"]),
        Entry(name: "or", expressions: ["(b1 or b2)", "(i1 > 0 or n1 > 0)"]),
        Entry(name: "not", expressions: ["(not b1)"]),
        Entry(name: "is null", expressions: allTypes { "(\($0) is null)" } + allTypes { "(\($0) is not null)" }),
        Entry(
            name: "is true",
            expressions: ["true", "not true", "false", "not false", "unknown", "not unknown"].map { "(b1 is \($0))" }),
        Entry(
            name: "is distinct from",
            expressions: some.map { "(\(column($0, 0)) is distinct from \(column($0, 1)))" }
                + some.map { "(\(column($0, 0)) is not distinct from \(column($0, 1)))" }),
        Entry(
            name: "between",
            expressions: some.flatMap { type in
                ["between", "not between", "between symmetric"].map {
                    "(\(column(type, 0)) \($0) \(column(type, 1)) and \(column(type, 2)))"
                }
            }),
        Entry(
            name: "in",
            expressions: some.map { "(\(column($0, 0)) in (\(column($0, 1)), \(column($0, 2)), null))" } + [
                "(i1 not in (0, 1, 2, -1))", "(t1 in ('a', 'abc', ''))", "(n1 in (1, 1.5, 0.00))",
            ]),
        Entry(
            name: "like",
            expressions: ["like", "not like", "ilike", "not ilike"].flatMap { word in
                ["a%", "%b%", "%c", "_b_", "%\\%%", "a%c%", "ABC", "", "_", "%ö%"].map { "(t1 \(word) '\($0)')" }
            } + ["(t1 like t2)", "(t1 like '%#_%' escape '#')", "(t1 ilike t2)"]),
        Entry(
            name: "~",
            expressions: ["~", "!~", "~*", "!~*"].flatMap { symbol in patterns.map { "(t1 \(symbol) \($0))" } }),
        Entry(
            name: "case",
            expressions: some.map { "case when b1 then \(column($0, 0)) when b2 then \(column($0, 1)) end" } + [
                "case i1 when 0 then t1 when 1 then t2 else 'x' end", "case t1 when 'a' then i1 else n1 end",
            ]),
        Entry(
            name: "||",
            expressions: allTypes { "(t1 || (\($0)))" }.filter { !$0.contains("text[]") } + [
                "(t1 || j1)", "(j1 || j2)", "(x1::bytea || x2::bytea)", "(i1 || '!')",
            ]),
        Entry(
            name: "substring(text from pattern)",
            expressions: ["'([a-z])([a-z])'", "'o(.*)o'", "'\\d+'", "'^(.)'", "'b*?c'"].map {
                "substring(t1 from \($0))"
            }),
        Entry(
            name: "und-x-icu",
            expressions: [
                "(g1 = g2)", "(g1 <> g2)", "(g1 in ('Ärger', g2))", "(g1 like 'Ä%')", "(nullif(g1, g2) is null)",
                "(replace(g1, 'ä', 'Ä') = g2)", "starts_with(g1, 'Ä')", "(left(g1, 2) || i1 = 'Är1')",
            ]),
        Entry(
            name: "at time zone",
            expressions: ["(ts1 at time zone zone)", "(l1::timestamp at time zone zone)", "(d1 at time zone zone)"]),
        Entry(
            name: "keyword forms",
            expressions: [
                "position(t2 in t1)", "substring(t1 from s1::int4 for s2::int4)", "substring(t1 for s1::int4)",
                "overlay(t1 placing t2 from s1::int4)", "overlay(t1 placing t2 from s1::int4 for s2::int4)",
                "trim(leading t2 from t1)", "trim(trailing t2 from t1)", "trim(both t2 from t1)", "trim(t1)",
            ]),
    ]

    private static func allTypes(_ make: (String) -> String) -> [String] {
        SQLType.allCases.filter { $0 != .unknown && $0 != .jsonb }.map { make(column($0, 0)) }
    }
}
