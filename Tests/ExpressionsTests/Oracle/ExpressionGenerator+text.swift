extension ExpressionGenerator {
    mutating func text(_ depth: Int) -> String {
        switch random.below(24) {
        case 0, 1: "(\(make(.text, depth)) || \(operand(.text, depth)))"
        case 2: "\(random.pick(["lower", "upper", "initcap", "reverse", "md5", "btrim"]))(\(make(.text, depth)))"
        case 3: "substr(\(make(.text, depth)), \(small()))"
        case 4: "substr(\(make(.text, depth)), \(small()), \(small()))"
        case 5: "\(random.pick(["btrim", "ltrim", "rtrim"]))(\(make(.text, depth)), \(operand(.text, 0)))"
        case 6: "replace(\(make(.text, depth)), \(operand(.text, 0)), \(operand(.text, 0)))"
        case 7: "split_part(\(make(.text, depth)), \(operand(.text, 0)), \(small()))"
        case 8: "\(random.pick(["left", "right", "repeat"]))(\(make(.text, depth)), \(small()))"
        case 9: "\(random.pick(["lpad", "rpad"]))(\(make(.text, depth)), \(small()), \(operand(.text, 0)))"
        case 10: "concat(\(anything(depth)), \(anything(depth)), \(operand(.text, 0)))"
        case 11: "concat_ws(\(operand(.text, 0)), \(anything(depth)), \(make(.text, depth)), \(anything(depth)))"
        case 12, 13: "(\(anything(depth)))::text"
        case 14: "translate(\(make(.text, depth)), \(operand(.text, 0)), \(operand(.text, 0)))"
        case 15: "(\(make(.json, depth)) ->> \(random.pick(["'a'", "'b'", "0", "-1", "'aa'"])))"
        case 16: "regexp_replace(\(make(.text, depth)), \(pattern()), '<\\&>'\(random.pick(["", ", 'g'", ", 'gi'"])))"
        case 17: "regexp_substr(\(make(.text, depth)), \(pattern()))"
        case 18: "jsonb_typeof(\(make(.json, depth)))"
        case 19:
            "(\(make(random.pick([.int, .float, .numeric, .bool, .uuid]), depth)) || \(operand(.text, depth)))"
        case 20:
            "substring(\(make(.text, depth)), '\(random.pick(["([a-z])([a-z])", "o(.*)o", "\\d+", "^(.)", "b*?c"]))')"
        case 21: "(\(make(.timestamp, depth)) - \(operand(.timestamp, depth)))::text"
        case 22: "to_hex(\(make(.int, depth)))"
        default: "position(\(operand(.text, 0)) in \(make(.text, depth)))::text"
        }
    }

    private mutating func anything(_ depth: Int) -> String { any(depth) }

    /// A small whole number for lengths and positions, which PostgreSQL wants as int4.
    mutating func small() -> String {
        random.chance(70)
            ? random.pick(["0", "1", "2", "3", "5", "-1", "-2", "8"]) : "(\(column(.int)) % 7::int8)::int4"
    }

    mutating func bool(_ depth: Int) -> String {
        switch random.below(16) {
        case 0...3:
            let kind = random.pick([Kind.int, .float, .numeric, .text, .bool, .timestamp, .date, .uuid])
            return "(\(make(kind, depth)) \(random.pick(["=", "<>", "<", "<=", ">", ">="])) \(operand(kind, depth)))"
        case 4: return "(\(make(.bool, depth)) and \(make(.bool, depth)))"
        case 5: return "(\(make(.bool, depth)) or \(make(.bool, depth)))"
        case 6: return "(not \(make(.bool, depth)))"
        case 7: return "(\(any(depth)) is \(random.pick(["", "not "]))null)"
        case 8:
            return "(\(make(.bool, depth)) is \(random.pick(["", "not "]))\(random.pick(["true", "false", "unknown"])))"
        case 9:
            let kind = random.pick([Kind.int, .float, .numeric, .text, .bool, .timestamp, .date])
            return "(\(make(kind, depth)) is \(random.pick(["", "not "]))distinct from \(operand(kind, depth)))"
        case 10:
            let kind = random.pick([Kind.int, .float, .numeric, .text, .timestamp, .date])
            let word = random.pick(["between", "not between", "between symmetric"])
            return "(\(make(kind, depth)) \(word) \(operand(kind, 0)) and \(operand(kind, 0)))"
        case 11:
            let kind = random.pick([Kind.int, .numeric, .text, .date])
            let items = "\(literal(kind)), \(operand(kind, 0)), \(random.pick(["null", literal(kind)]))"
            return "(\(make(kind, depth)) \(random.pick(["in", "not in"])) (\(items)))"
        case 12:
            let word = random.pick(["like", "not like", "ilike"])
            return
                "(\(make(.text, depth)) \(word) '\(random.pick(["a%", "%b%", "%c", "_b_", "%\\%%", "a%c%", "ABC"]))')"
        case 13: return "(\(make(.text, depth)) \(random.pick(["~", "!~", "~*", "!~*"])) \(pattern()))"
        case 14: return "starts_with(\(make(.text, depth)), \(operand(.text, 0)))"
        default:
            return "(\(make(.int, depth)) \(random.pick(["<", ">="])) \(make(random.pick([.numeric, .float]), depth)))"
        }
    }

    mutating func timestamp(_ depth: Int) -> String {
        switch random.below(7) {
        case 0, 1: "(\(make(.timestamp, depth)) \(random.pick(["+", "-"])) \(operand(.interval, 0)))"
        case 2: "date_trunc('\(random.pick(Self.units))', \(make(.timestamp, depth)))"
        case 3: "(\(make(.date, depth)))::timestamptz"
        case 4: "(\(make(.local, depth)) at time zone '\(random.pick(Self.zones))')"
        case 5: "to_timestamp((\(make(.int, depth)) % 4000000000::int8)::float8 / 8)"
        default: "(\(make(.timestamp, depth))::text)::timestamptz"
        }
    }

    private static let units = [
        "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade",
        "century", "millennium",
    ]

    mutating func local(_ depth: Int) -> String {
        switch random.below(4) {
        case 0: "(\(make(.timestamp, depth)) at time zone '\(random.pick(Self.zones))')"
        case 1: "(\(make(.date, depth)) \(random.pick(["+", "-"])) \(operand(.interval, 0)))"
        case 2: "(\(make(.timestamp, depth)))::timestamp"
        default: "(\(make(.local, depth)) \(random.pick(["+", "-"])) \(operand(.interval, 0)))"
        }
    }

    private static let zones = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "EST", "UTC"]

    mutating func interval(_ depth: Int) -> String {
        switch random.below(4) {
        case 0: "(\(make(.timestamp, depth)) - \(operand(.timestamp, depth)))"
        case 1: "(\(make(.interval, depth)) \(random.pick(["+", "-"])) \(operand(.interval, 0)))"
        case 2: "age(\(make(.timestamp, depth)), \(column(.timestamp)))"
        default: "(\(make(.interval, depth)) * \(random.pick(["2", "0.5", "-1.25"]))::float8)"
        }
    }

    mutating func date(_ depth: Int) -> String {
        switch random.below(4) {
        case 0: "(\(make(.date, depth)) \(random.pick(["+", "-"])) (\(column(.int)) % 100000::int8)::int4)"
        case 1: "(\(make(.timestamp, depth)))::date"
        case 2: "(\(make(.date, depth)) + \(random.pick(["1", "0", "-400"])))"
        default: "((\(make(.date, depth)))::text)::date"
        }
    }

    mutating func json(_ depth: Int) -> String {
        switch random.below(3) {
        case 0: "(\(make(.json, depth)) -> \(random.pick(["'a'", "'b'", "'aa'"])))"
        case 1: "(\(make(.json, depth)) -> \(random.pick(["0", "1", "-1", "2"])))"
        default: "((\(make(.json, depth)))::text)::jsonb"
        }
    }
}
