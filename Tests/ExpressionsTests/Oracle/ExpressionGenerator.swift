/// Random expressions over the oracle's columns, well typed in PostgreSQL and here alike.
///
/// PostgreSQL's int4 is kept out: literals are cast to int8, and what is int4 there (`length`) too. Every operation has
/// a column in it, since PostgreSQL computes constant parts when it plans, where they may fail although no row needs
/// them.
struct ExpressionGenerator {
    enum Kind: CaseIterable { case int, float, numeric, text, bool, timestamp, local, interval, date, json, uuid }

    /// The columns of each kind; `Oracle` makes them.
    static let columns: [Kind: [String]] = [
        .int: ["i1", "i2"], .float: ["f1", "f2"], .numeric: ["n1", "n2"], .text: ["t1", "t2"], .bool: ["b1", "b2"],
        .timestamp: ["ts1", "ts2"], .date: ["d1", "d2"], .json: ["j1", "j2"], .uuid: ["u1", "u2"],
        .local: ["(l1::timestamp)", "(l2::timestamp)"], .interval: ["(v1::interval)", "(v2::interval)"],
    ]

    var random: RandomSource

    mutating func any(_ depth: Int) -> String {
        let kind = random.pick(Kind.allCases)
        return make(kind, depth)
    }

    mutating func make(_ kind: Kind, _ depth: Int) -> String {
        guard depth > 0, !random.chance(15) else { return column(kind) }
        if random.chance(15) { return common(kind, depth - 1) }
        if random.chance(30), let made = catalogued(kind, depth - 1) { return made }
        switch kind {
        case .int: return int(depth - 1)
        case .float: return float(depth - 1)
        case .numeric: return numeric(depth - 1)
        case .text: return text(depth - 1)
        case .bool: return bool(depth - 1)
        case .timestamp: return timestamp(depth - 1)
        case .local: return local(depth - 1)
        case .interval: return interval(depth - 1)
        case .date: return date(depth - 1)
        case .json: return json(depth - 1)
        case .uuid: return column(.uuid)
        }
    }

    mutating func column(_ kind: Kind) -> String { random.pick(Self.columns[kind] ?? ["t1"]) }

    /// A column's expression or, at times, a literal.
    mutating func operand(_ kind: Kind, _ depth: Int) -> String {
        random.chance(35) ? literal(kind) : make(kind, depth)
    }

    /// A literal, at times without a type, which it then takes from its context.
    mutating func literal(_ kind: Kind) -> String {
        if random.chance(25), let untyped = Self.untyped[kind] { return random.pick(untyped) }
        return switch kind {
        case .int: "(\(random.pick(["0", "1", "2", "3", "-1", "10", "1000000007", "-5"])))::int8"
        case .float: "\(random.pick(["0.5", "2", "-1.25", "1e10", "100", "0"]))::float8"
        case .numeric: random.pick(["0.5", "2.0", "-1.25", "100.00", "3.14159", "1024.0", "0.0", "1e3", "0.001"])
        case .text: random.pick(["'a'", "'abc'", "''", "'l'", "' '", "'ö'", "','", "'12'", "'Hello'"])
        case .bool: column(.bool)
        case .timestamp: "'\(random.pick(["2020-02-29 13:14:15+00", "1999-12-31 00:00:00+01"]))'::timestamptz"
        case .local: "'\(random.pick(["2020-02-29 13:14:15", "1999-12-31 00:00:00.5"]))'::timestamp"
        case .interval: "interval '\(random.pick(ValuePool.intervals))'"
        case .date: "'\(random.pick(["2020-02-29", "1999-12-31"]))'::date"
        case .json: "'{\"a\": 1}'::jsonb"
        case .uuid: "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid"
        }
    }

    private static let untyped: [Kind: [String]] = [
        .int: ["'3'", "' -12 '", "'0'"], .float: ["'2.5'", "'1e3'", "'inf'"], .numeric: ["'1.50'", "'-0.25'", "'7'"],
        .timestamp: ["'2020-02-29 13:14:15.5+02'", "'infinity'"], .date: ["'2020-02-29'", "'1999-12-31'"],
        .uuid: ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], .bool: ["'t'", "'off'"],
    ]

    /// CASE, COALESCE and the like, which every type has.
    private mutating func common(_ kind: Kind, _ depth: Int) -> String {
        // Equality of jsonb is known here, but no order.
        switch random.below(kind == .json ? 3 : 6) {
        case 0: "coalesce(\(make(kind, depth)), \(operand(kind, depth)))"
        case 1: "case when \(make(.bool, depth)) then \(make(kind, depth)) else \(operand(kind, depth)) end"
        case 2: "case when \(make(.bool, depth)) then \(operand(kind, depth)) end"
        case 3: "nullif(\(make(kind, depth)), \(operand(kind, depth)))"
        case 4: "greatest(\(make(kind, depth)), \(operand(kind, depth)), \(operand(kind, 0)))"
        default: "least(\(make(kind, depth)), \(operand(kind, depth)))"
        }
    }

    private mutating func int(_ depth: Int) -> String {
        switch random.below(19) {
        case 16: "gcd(\(make(.int, depth)), \(operand(.int, depth)))"
        case 17: "bit_length(\(make(.text, depth)))::int8"
        case 18: "scale(\(make(.numeric, depth)))::int8"
        case 0...4:
            "(\(make(.int, depth)) \(random.pick(["+", "-", "*", "/", "%"])) \(operand(.int, depth)))"
        case 5: "(- \(make(.int, depth)))"
        case 6: "abs(\(make(.int, depth)))"
        case 7: "mod(\(make(.int, depth)), \(operand(.int, depth)))"
        case 8: "\(random.pick(["length", "octet_length", "ascii"]))(\(make(.text, depth)))::int8"
        case 9: "strpos(\(make(.text, depth)), \(operand(.text, 0)))::int8"
        case 10: "(\(make(random.pick([.numeric, .float, .text]), depth)))::int8"
        case 11: "(\(make(.date, depth)) - \(operand(.date, depth)))::int8"
        case 12: "extract(\(random.pick(Self.fields)) from \(make(random.pick([.timestamp]), depth)))::int8"
        case 13: "(\(make(.int, depth)) \(random.pick(["&", "|", "#"])) \(operand(.int, depth)))"
        case 14: "(\(make(.json, depth)) ->> 'a')::int8"
        default: "regexp_count(\(make(.text, depth)), \(pattern()))::int8"
        }
    }

    private mutating func float(_ depth: Int) -> String {
        switch random.below(11) {
        case 0...3: "(\(make(.float, depth)) \(random.pick(["+", "-", "*", "/"])) \(operand(.float, depth)))"
        case 4: "(\(make(random.pick([.int, .numeric, .text]), depth)))::float8"
        case 5: "\(random.pick(["floor", "ceil", "round", "trunc", "abs", "sign"]))(\(make(.float, depth)))"
        case 6: "sqrt(\(make(.float, depth)))"
        case 7: "(\(make(.float, depth)) ^ \(random.pick(["2", "0.5", "-1", "3"]))::float8)"
        case 8: "(\(make(.float, depth)) + \(make(random.pick([.int, .numeric]), depth)))"
        case 9: "date_part('\(random.pick(Self.fields))', \(make(.timestamp, depth)))"
        default: "\(random.pick(["exp", "ln", "cbrt", "degrees", "radians", "log10"]))(\(make(.float, depth)))"
        }
    }

    private mutating func numeric(_ depth: Int) -> String {
        switch random.below(18) {
        case 14: "ln(abs(\(make(.numeric, depth))))"
        case 15: "(\(column(.numeric)) ^ \(random.pick(["2", "0.5", "-1", "3.0", "-2.5", "0"]))::numeric)"
        case 16: "exp(\(make(.numeric, depth)) % 30.0)"
        case 17: "\(random.pick(["trim_scale", "sqrt"]))(\(make(.numeric, depth)))"
        case 0...4: "(\(make(.numeric, depth)) \(random.pick(["+", "-", "*", "/", "%"])) \(operand(.numeric, 0)))"
        case 5: "(\(make(.int, depth)) \(random.pick(["+", "-", "*", "/"])) \(operand(.numeric, depth)))"
        case 6: "\(random.pick(["floor", "ceil", "round", "trunc", "abs", "sign"]))(\(make(.numeric, depth)))"
        case 7: "\(random.pick(["round", "trunc"]))(\(make(.numeric, depth)), \(random.pick(["2", "0", "-2", "5"])))"
        case 8: "(\(make(random.pick([.int, .float, .text]), depth)))::numeric"
        case 9: "(\(make(.numeric, depth)))::numeric(\(random.pick(["10,2", "5", "30,10", "38,0"])))"
        case 10: "extract(\(random.pick(Self.fields)) from \(make(random.pick([.timestamp, .timestamp]), depth)))"
        case 11: "sqrt(\(column(.numeric)))"
        case 12: "(- \(make(.numeric, depth)))"
        default: "\(random.pick(["ln", "exp"]))((\(column(.int)) % 40::int8)::numeric)"
        }
    }

    private static let fields = [
        "year", "month", "day", "hour", "minute", "second", "milliseconds", "microseconds", "epoch", "dow", "isodow",
        "doy",
        "week", "quarter", "decade", "century", "millennium", "isoyear", "julian",
    ]

    mutating func pattern() -> String {
        random.pick([
            "'a'", "'^[a-z]+$'", "'[[:digit:]]+'", "'\\d'", "'(a|ab)(c|bcd)?'", "'b*'", "'.'", "'^$'", "'o.*o'",
            "'[^a-m ]'",
            "'\\s+'", "'(?i)HELLO'", "'l{2}'", "'\\mW'", "'x|y|z'", "'a+?'", "'(foo|bar)\\d*'", "'[A-C]'", "'\\w+$'",
            "'ö|本'",
        ])
    }
}
