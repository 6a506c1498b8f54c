import Expressions
import Records

/// A few rows of random values, as a table in PostgreSQL and as a batch here.
struct OracleTable {
    static let rowCount = 8

    static let columns: [(name: String, type: ColumnType)] = [
        ("i1", .int8), ("i2", .int8), ("f1", .float8), ("f2", .float8), ("n1", .numeric), ("n2", .numeric),
        ("t1", .text), ("t2", .text), ("b1", .bool), ("b2", .bool), ("ts1", .timestamptz), ("ts2", .timestamptz),
        ("d1", .date), ("d2", .date), ("j1", .jsonb), ("u1", .uuid), ("u2", .uuid),
    ]

    /// What PostgreSQL says about an expression for a row: `=` and the value's text, `NULL`, or `!` and the error.
    static let preparation = """
        set extra_float_digits = 1;
        create table oracle_row (id int primary key, \
        \(columns.map { "\($0.name) \($0.type.rawValue)" }.joined(separator: ", ")));
        create function oracle(expression text, row_id int) returns text language plpgsql as $$
        declare answer text;
        begin
            execute format('select (%s)::text from oracle_row where id = %s', expression, row_id) into answer;
            return coalesce('=' || answer, 'NULL');
        exception when others then
            return '!' || sqlstate || ' ' || sqlerrm;
        end $$;
        """

    /// Answers for several expressions, by expression, then row.
    static let question = """
        select oracle(e.text, r.id) from unnest($1::text[]) with ordinality e (text, number), oracle_row r
        order by e.number, r.id
        """

    let values: [[String?]]

    init(_ random: inout RandomSource) {
        values = Self.columns.map { column in
            (0..<Self.rowCount).map { _ in ValuePool.value(column.type, &random) }
        }
    }

    /// Empties and fills the table.
    var filling: String {
        let rows = (0..<Self.rowCount).map { row in
            let literals = values.map { column in
                column[row].map { "'" + $0.replacing("'", with: "''") + "'" } ?? "null"
            }
            return "(\(row), \(literals.joined(separator: ", ")))"
        }
        return "truncate oracle_row; insert into oracle_row values \(rows.joined(separator: ", "))"
    }

    var batch: RecordBatch {
        let rows = (0..<Int32(Self.rowCount)).map { $0 }
        let columns = zip(Self.columns, values).map { column, values in
            let text = Column(
                .text, .bytes(ByteColumn(values.map { $0 ?? "" })), validity: values.map { $0 == nil ? 0 : 1 })
            let cast = text.cast(to: column.type, rows: rows, name: column.name)
            precondition(cast.faults.isEmpty, "\(cast.faults)")
            return NamedColumn(column.name, cast.column)
        }
        return RecordBatch(rows: rows, columns: columns)
    }

    /// What we say, in the same form; a refusal is `?` and its message for every row.
    func answers(_ expression: String, over batch: RecordBatch) -> [String] {
        let schema = ExpressionSchema(Self.columns.map { ($0.name, .typed($0.type)) })
        do throws(ExpressionError) {
            let compiled = try Expression.compile("(\(expression))::text", schema: schema)
            let (column, faults) = compiled.evaluate(batch)
            let printed = TextOutput.texts(of: column)
            var answers = (0..<Self.rowCount).map { column.isPresent($0) ? "=" + printed.string($0) : "NULL" }
            for fault in faults { answers[Int(fault.row)] = "!\(fault.code) \(fault.message)" }
            return answers
        } catch {
            return [String](repeating: "?\(error)", count: Self.rowCount)
        }
    }

    /// Whether two answers agree: the same value, or both an error. A literal that its context cannot read is an
    /// error of every row to PostgreSQL, and a refusal here.
    static func agree(_ theirs: String, _ ours: String) -> Bool {
        if theirs.hasPrefix("!42") { return ours.hasPrefix("?") }
        if theirs.hasPrefix("!") { return ours.hasPrefix("!") || ours.hasPrefix("?") }
        return theirs == ours
    }
}
