import Expressions
import Records

/// Rows of random values, as a table in PostgreSQL and as a batch here.
struct OracleTable {
    /// A column with what its values are drawn from; types that no column has are read from text.
    struct Source {
        let name: String
        let type: ColumnType
        var pool: [String]?
        /// Of text.
        let collation: String

        init(_ name: String, _ type: ColumnType, _ pool: [String]? = nil, collation: String = "C") {
            (self.name, self.type, self.pool, self.collation) = (name, type, pool, collation)
        }

        var definition: String {
            type == .text ? "\(name) text collate \"\(collation)\"" : "\(name) \(type.rawValue)"
        }
    }

    private static let typed: [(name: String, type: ColumnType)] = [
        ("i1", .int8), ("i2", .int8), ("f1", .float8), ("f2", .float8), ("f3", .float8), ("n1", .numeric),
        ("n2", .numeric), ("n3", .numeric), ("t1", .text), ("t2", .text), ("t3", .text), ("b1", .bool),
        ("b2", .bool),
        ("ts1", .timestamptz), ("ts2", .timestamptz), ("d1", .date), ("d2", .date), ("j1", .jsonb), ("j2", .jsonb),
        ("u1", .uuid), ("u2", .uuid),
    ]

    static let columns: [Source] =
        typed.map { Source($0.name, $0.type) } + [
            Source("l1", .text, ValuePool.localTimestamps), Source("l2", .text, ValuePool.localTimestamps),
            Source("v1", .text, ValuePool.intervals), Source("v2", .text, ValuePool.intervals),
            Source("x1", .text, ValuePool.byteas), Source("x2", .text, ValuePool.byteas),
            Source("p1", .text, ValuePool.arrays), Source("k1", .text, ValuePool.keys),
            Source("s1", .int8, ValuePool.small), Source("s2", .int8, ValuePool.small),
            Source("s3", .int8, ValuePool.small), Source("c1", .int8, ValuePool.numbers),
            Source("unit", .text, units + ["Quarters", "mon", "us", "fortnight"]),
            Source("zone", .text, ValuePool.zones),
            Source("form", .text, ["hex", "base64", "escape", "HEX", "rot13"]), Source("coded", .text, ValuePool.coded),
            Source("picture", .text, ValuePool.pictures), Source("stamp", .text), Source("mask", .text),
            Source("g1", .text, ValuePool.words, collation: "und-x-icu"),
            Source("g2", .text, ValuePool.words, collation: "und-x-icu"),
        ]

    static let units = [
        "microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year", "decade",
        "century", "millennium", "dow", "isodow", "doy", "isoyear", "epoch", "julian", "timezone", "timezone_hour",
        "timezone_minute",
    ]

    /// What PostgreSQL says about an expression for each row: `=` and the value's text, `NULL`, or `!` and the error.
    /// All rows at once; one by one where any of them fails.
    static let preparation = """
        create table oracle_row (id int primary key, \
        \(columns.map(\.definition).joined(separator: ", ")));
        create function oracle(expression text) returns text[] language plpgsql as $$
        declare
            answers text[];
            answer text;
            row_id int;
        begin
            begin
                execute format(
                    'select array_agg(coalesce(''='' || ((%s)::text), ''NULL'') order by id) from oracle_row',
                    expression)
                    into answers;
                return answers;
            exception when others then answers := '{}';
            end;
            for row_id in select id from oracle_row order by id loop
                begin
                    execute format('select (%s)::text from oracle_row where id = %s', expression, row_id) into answer;
                    answers := array_append(answers, coalesce('=' || answer, 'NULL'));
                exception when others then
                    answers := array_append(answers, '!' || sqlstate || ' ' || sqlerrm);
                end;
            end loop;
            return answers;
        end $$;
        """

    /// Answers for several expressions, by expression, then row.
    static let question = """
        select a.text from unnest($1::text[]) with ordinality e (text, number),
            unnest(oracle(e.text)) with ordinality a (text, row) order by e.number, a.row
        """

    let values: [[String?]]

    let rowCount: Int

    init(rows: Int, _ random: inout RandomSource) {
        rowCount = rows
        // A text to read and a format for it mostly belong together.
        var readings: [(String, String)] = []
        for _ in 0..<rows {
            if random.chance(50) {
                let pair = random.pick(ValuePool.readings)
                readings.append((pair.0, random.chance(85) ? pair.1 : random.pick(ValuePool.readings).1))
            } else {
                readings.append(ReadingSource.pair(&random))
            }
        }
        values = Self.columns.map { column in
            switch column.name {
            case "stamp": readings.map(\.0)
            case "mask": readings.map(\.1)
            default: (0..<rows).map { _ in ValuePool.value(column, &random) }
            }
        }
    }

    /// Empties and fills the table.
    var filling: String {
        let rows = (0..<rowCount).map { row in
            let literals = values.map { column in
                column[row].map { "'" + $0.replacing("'", with: "''") + "'" } ?? "null"
            }
            return "(\(row), \(literals.joined(separator: ", ")))"
        }
        return "truncate oracle_row; insert into oracle_row values \(rows.joined(separator: ", "))"
    }

    var batch: RecordBatch {
        let rows = (0..<Int32(rowCount)).map { $0 }
        let columns = zip(Self.columns, values).map { column, values in
            let text = Column(
                .text, .bytes(ByteColumn(values.map { $0 ?? "" })), validity: values.map { $0 == nil ? 0 : 1 })
            let cast = text.cast(to: column.type, rows: rows, name: column.name)
            precondition(cast.faults.isEmpty, "\(cast.faults)")
            return NamedColumn(column.name, cast.column)
        }
        return RecordBatch(rows: rows, columns: columns)
    }

    private static let schema = ExpressionSchema(
        columns.map { ($0.name, .typed($0.type)) },
        collations: Dictionary(columns.map { ($0.name, $0.collation) }) { first, _ in first })

    /// A condition as it is written for PostgreSQL, its parameters put in as quoted literals; nil if it is refused.
    func condition(_ text: String) -> String? {
        guard let condition = try? SQLCondition(text, schema: Self.schema, purpose: "WHERE") else { return nil }
        var sql = condition.text(firstParameter: 1)
        for (place, literal) in condition.literals.enumerated().reversed() {
            sql = sql.replacing("$\(place + 1)", with: "'\(literal.replacing("'", with: "''"))'")
        }
        return sql
    }

    /// What we say, in the same form; a refusal is `?` and its message for every row.
    func answers(_ expression: String, over batch: RecordBatch) -> [String] {
        do throws(ExpressionError) {
            let compiled = try Expression.compile("(\(expression))::text", schema: Self.schema)
            let (column, faults) = compiled.evaluate(batch)
            let printed = TextOutput.texts(of: column)
            var answers = (0..<rowCount).map { column.isPresent($0) ? "=" + printed.string($0) : "NULL" }
            for fault in faults { answers[Int(fault.row)] = "!\(fault.code) \(fault.message)" }
            return answers
        } catch {
            return [String](repeating: "?\(error)", count: rowCount)
        }
    }

    /// Where PostgreSQL 15 is known to answer with garbage.
    static func isExcluded(_ ours: String) -> Bool { ours.hasSuffix("an infinite timestamp has no age") }

    /// Whether two answers agree: the same value, or both an error of the same sort. A literal that its context cannot
    /// read is an error of every row to PostgreSQL, and a refusal here.
    static func agree(_ theirs: String, _ ours: String) -> Bool {
        if theirs.hasPrefix("!42") { return ours.hasPrefix("?") }
        guard theirs.hasPrefix("!") else { return theirs == ours }
        if ours.hasPrefix("?") { return true }
        guard ours.hasPrefix("!") else { return false }
        guard let wanted = codes[String(theirs.dropFirst().prefix(5))] else { return true }
        return ours.dropFirst().hasPrefix(wanted)
    }

    /// Our codes of errors by those of PostgreSQL that mean one thing only.
    private static let codes = ["22012": "division_by_zero", "22003": "out_of_range", "22008": "out_of_range"]
}
