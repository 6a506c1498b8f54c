import Postgres
import Records

/// How rows that a pipeline would make differ from those that are there: one statement over two queries.
///
/// Rows with the same `keys` are compared, column by column; what lies in `_extra` counts under its own name. What
/// differs is kept by the server while it is counted, on disk where it is much.
struct RowComparison {
    /// Those that both queries have; `_extra` comes in addition.
    let columns: [String]
    let keys: [String]
    /// Each gives the keys, `true as _present`, the columns and `_extra`. Only a dataset's names do not begin with `_`.
    let old: String
    let new: String

    var query: PostgresQuery {
        let named = columns.map(PostgresQuery.quoted(identifier:))
        let differs = named.enumerated().map { ", o.\($1) is distinct from n.\($1) as d\($0)" }
        let counts = named.indices.map { "count(*) filter (where was and stays and d\($0))" }
        let join = keys.map(PostgresQuery.quoted(identifier:)).map { "o.\($0) = n.\($0)" }
        func row(_ side: String) -> String {
            "(" + (named + [OutputFitter.extraColumn]).map { "\(side).\($0)" }.joined(separator: ", ") + ")"
        }
        let sql = """
            with old as (\(old)), new as (\(new)),
            pair as materialized (
                select o._present as was, n._present as stays, o._extra as old_extra, n._extra as new_extra
                    \(differs.joined())
                from old o full join new n on \(join.joined(separator: " and "))
                where o._present is null or n._present is null or \(row("o")) is distinct from \(row("n"))
            )
            select count(*) filter (where was is null), count(*) filter (where stays is null),
                count(*) filter (where was and stays), array[\(counts.joined(separator: ", "))]::int8[],
                (select coalesce(jsonb_object_agg(x.key, x.rows), '{}') from (
                    select e.key, count(*) as rows from pair p cross join lateral (
                        select coalesce(a.key, b.key) as key from jsonb_each(coalesce(p.old_extra, '{}')) a
                        full join jsonb_each(coalesce(p.new_extra, '{}')) b on b.key = a.key
                        where a.value is distinct from b.value
                    ) e where p.was and p.stays and p.old_extra is distinct from p.new_extra group by e.key
                ) x)
            from pair
            """
        return "\(unsafeText: sql)"
    }

    /// Reads the statement's one row.
    func changes(of dataset: String, _ row: PostgresRow) throws -> RowChanges {
        var changes = RowChanges(
            dataset: dataset, added: try row.int8(0), removed: try row.int8(1), changed: try row.int8(2))
        for (name, rows) in zip(columns, try row.int8Array(3)) where rows > 0 { changes.columns[name] = rows }
        changes.add(columns: try row.json(4))
        return changes
    }
}
