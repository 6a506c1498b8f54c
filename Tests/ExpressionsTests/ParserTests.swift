import Expressions
import Records
import Testing

/// Precedence and refusals, as PostgreSQL has them.
@Suite struct ParserTests {
    @Test(arguments: [
        ("1 + 2 * 3", "7"), ("(1 + 2) * 3", "9"), ("2 * 3 % 4", "2"), ("-2 ^ 2", "4"), ("2 ^ 3 ^ 2", "64"),
        ("2 ^ -1", "0.5"), ("10 - 4 - 3", "3"), ("-9223372036854775808", "-9223372036854775808"),
        ("1 < 2 = true", "!"), ("not false and false", "false"), ("not true or true", "true"),
        ("true or false and false", "true"), ("1 = 1 is null", "false"), ("2 between 1 and 3 and true", "true"),
        ("2 not between 1 and 3", "false"), ("3 between symmetric 5 and 1", "true"), ("5 in (1, 2, 5)", "true"),
        ("5 not in (1, 2, null)", "NULL"), ("5 in (1, 5, null)", "true"), ("'a' || 1 + 2", "a3"),
        ("'abc' like 'a%' = true", "true"), ("'a' 'b'", "!"), ("1 is distinct from null", "true"),
        ("null is not distinct from null", "true"), ("'x'::text || 'y'", "xy"), ("-'5'::int8", "-5"),
        ("case 3 when 1 then 'a' when 3 then 'b' end", "b"), ("case when false then 1 end", "NULL"),
        ("cast('12' as int8) + 1", "13"), ("'it''s'", "it's"), ("E'a\\tb\\x41\\u00e9'", "a\tbA\u{e9}"),
        ("1 /* a /* nested */ comment */ + 1 -- end", "2"), ("1.5e2", "150"), (".5 + 1.", "1.5"),
        ("extract(year from date '2024-02-29')", "2024"), ("trim(both 'x' from 'xaxx')", "a"),
        ("substring('abcdef' from 2 for 3)", "bcd"), ("position('c' in 'abc')", "3"), ("5 isnull", "false"),
        ("5 notnull", "true"), ("true is not unknown", "true"), ("'1'::numeric(5,2)", "1.00"),
        (
            "timestamptz '2024-07-01 12:00+00' at time zone 'Europe/Berlin' + interval '1 hour'",
            "2024-07-01 15:00:00+00"
        ),
        ("(timestamptz '2024-07-01 12:00+00' at time zone 'Europe/Berlin')::text", "2024-07-01 14:00:00"),
        ("extract(hour from timestamptz '2024-01-01 12:00+00' at time zone 'Asia/Tokyo')", "21"),
        ("'abc' similar to '(a|x)%' and true", "true"), ("'abc' not similar to 'a_'", "true"),
        ("'{\"a\": [1, 2]}'::jsonb #>> '{a,1}'", "2"), ("'{\"a\": 1}'::jsonb ?| array['x', 'a']", "true"),
        ("'{\"a\": 1}'::jsonb @> '{}'", "true"), ("overlay('abcdef' placing 'X' from 2 for 3)", "aXef"),
        ("encode('abc'::bytea || '\\x00', 'base64')", "YWJjAA=="), ("array['a', null]::text", "{a,NULL}"),
    ])
    func meansTheSame(_ text: String, _ wanted: String) throws {
        if wanted == "!" {
            #expect(Samples.refusal(text) != nil)
        } else {
            #expect(try Samples.value(text) == wanted)
        }
    }

    @Test(arguments: [
        ("1 +", 4, "syntax error at end of input"), ("status >= 'abc' + 1", 11, "invalid input syntax for type bigint"),
        ("1 + 'x'", 5, "invalid input syntax for type bigint: \"x\""),
        ("lower(5)", 1, "function lower(bigint) does not exist"),
        ("a = 1 and 5", 11, "argument of AND must be type boolean, not type bigint"),
        ("'abc", 1, "unterminated quoted string"), ("1 = 2 = 3", 7, "syntax error at or near \"=\""),
        ("a + b", 3, "operator is not unique: unknown + unknown"),
        ("true + 1", 6, "operator does not exist: boolean + bigint"),
        ("now() > ts", 1, "function now is not supported"), ("userId = 5", 1, "write \"userId\" in double quotes"),
        ("user = 'x'", 1, "in double quotes if it is a field"),
        ("x ~ '(a)\\1'", 5, "a back reference is not supported"),
        ("x ~ '['", 5, "brackets [] not balanced"), ("x ~ y", 5, "a regular expression must be a text literal"),
        ("case when 1 then 2 end", 11, "argument of CASE/WHEN must be type boolean"),
        ("coalesce(1, 'x'::text)", 13, "COALESCE types bigint and text cannot be matched"),
        ("x::time", 4, "type \"time\" is not supported"), ("x::int8[]", 4, "of arrays only text[]"),
        ("ts at time zone 'Nowhere'", 17, "time zone \"Nowhere\" not recognized"),
        ("to_char(ts::date, 'TMMonth')", 19, "TM is not supported"), ("to_date(x, 'IW')", 12, "in to_char only"),
        ("encode(sha256(x), 'rot13')", 19, "unrecognized encoding"), ("a at local", 6, "syntax error"),
        ("x similar to y", 14, "must be a text literal"),
        ("to_jsonb(x)", 1, "could not determine the type"), ("jsonb_build_object('a')", 1, "even number"),
        ("x::varchar(5)", 11, "varchar takes no length"),
        ("true::date", 5, "cannot cast type boolean to date"), ("\u{e9}\u{e9} = 1 +", 9, "end of input"),
        ("count(*)", 1, "aggregate functions are not allowed here"), ("a.b = 1", 2, "qualified names"),
        ("1 in (select 1)", 7, "subqueries are not supported"), ("12abc", 1, "trailing junk after numeric literal"),
    ])
    func refusesWithPosition(_ text: String, _ position: Int, _ message: String) {
        let refusal = Samples.refusal(text)
        #expect(refusal?.position == position)
        #expect(refusal?.message.contains(message) == true, "\(refusal?.message ?? "no refusal")")
    }

    /// What the README lists among the differences is refused, with the place.
    @Test(arguments: [
        "interval 'P1Y2M'", "interval '1-2'", "interval '1' day", "a = any('{a}'::text[])", "a <> all(array['a'])",
        "a like any (array['a%'])", "a like all (array['a%'])", "regexp_replace(a, 'b', 'c', 'm')",
        "regexp_replace(a, 'b', 'c', 'n')", "regexp_replace(a, 'b', 'c', 'p')", "regexp_replace(a, 'b', 'c', 'q')",
        "regexp_replace(a, 'b', 'c', 'w')", "regexp_replace(a, 'b', 'c', 'x')", "a ~ '(?x)b'",
        "substring(a similar 'p' escape '#')", "age(a::timestamptz)", "make_interval(days => 1)", "format('%s', a)",
        "(a, b) = ('x', 'y')", "(a, b) < ('x', 'y')", "row(1, 2) = row(1, 2)", "$$x$$", "U&'\\0041'", "B'1'", "X'1F'",
        "N'a'", "a::real", "a::char(3)", "a::varchar(3)", "a::timestamp(3)",
    ])
    func refusesWhatIsListed(_ text: String) {
        #expect((Samples.refusal(text)?.position ?? 0) > 0)
    }

    @Test func theLeastBigintHasNoOpposite() throws {
        let expression = try Expression.compile("- -9223372036854775808", schema: ExpressionSchema(isOpen: true))
        #expect(expression.evaluate(RecordBatch(rows: [0])).1.map(\.message) == ["bigint out of range"])
    }

    @Test func nestsAndGrowsOnlySoFar() {
        let deep = String(repeating: "(", count: 5000) + "1" + String(repeating: ")", count: 5000)
        #expect(Samples.refusal(deep)?.message.contains("nests deeper") == true)
        let long = "1" + String(repeating: " + 1", count: 5000)
        #expect(Samples.refusal(long)?.message.contains("nests deeper") == true)
        let huge = String(repeating: " ", count: 70_000) + "1"
        #expect(Samples.refusal(huge)?.message.contains("longer than") == true)
        #expect(Samples.refusal("1" + String(repeating: " + 1", count: 150)) == nil)
    }

    @Test func knowsOnlyTheColumnsOfAClosedSchema() {
        let schema = ExpressionSchema([("a", .typed(.int8)), ("userId", .typed(.text))])
        #expect(Samples.refusal("b = 1", schema)?.message == "column \"b\" does not exist")
        #expect(Samples.refusal("a = 1", schema) == nil)
        #expect(Samples.refusal("A = 1", schema) == nil)
        #expect(Samples.refusal("userId = 'x'", schema)?.message.contains("double quotes") == true)
        #expect(Samples.refusal("\"userId\" = 'x'", schema) == nil)
    }
}
