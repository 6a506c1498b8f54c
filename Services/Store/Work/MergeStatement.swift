import Postgres

/// One statement that merges staged rows into a table by its key.
///
/// **Rank.** Of two rows with a key the higher one stays: by `version_column` (NULL is the lowest) where mode is upsert
/// and the dataset names one, then by (`_batch`, `_row`, `_out`); for ignore the lower one. Of rows of one record the
/// later in the chunk stays, for ignore the earlier. What is still equal, rows that two pipelines made of one record,
/// is told apart by its text, so that the order of loading never matters.
///
/// **Locks.** Keys are written in their order, so that two loaders do not wait for each other in a circle.
struct MergeStatement {
    static let stage = "pg_temp.millrace_merge"

    let table: DatasetTable
    let key: MergeKey
    let mode: LoadMode
    /// Of the chunk, with the lineage, without ``TableDefinition/deleted``.
    let columns: [String]
    /// Whether the chunk says which rows delete.
    let marksDeletions: Bool

    /// Merges; gives for each batch and output of the chunk the records whose rows were written or have deleted.
    var query: PostgresQuery {
        let merge = mode == .upsert && key.keepsDeletions ? withDeletions : plain
        return "\(unsafeText: merge)"
    }

    private var target: String { Self.quoted(table.schema) + "." + Self.quoted(table.name) }
    private var deleted: String { Self.quoted(table.schema) + "." + Self.quoted(table.deletedName) }
    private var version: String? { mode == .upsert ? key.versionColumn.map(Self.quoted) : nil }
    private var list: String { Self.list(columns) }
    private var keyList: String { Self.list(key.primaryKey) }
    private static let lineage = ["_batch", "_row", "_out"]

    /// The best row of each key in the stage, in the keys' order.
    private var winners: String {
        let direction = mode == .upsert ? "desc" : "asc"
        let order =
            key.primaryKey.map(Self.quoted) + (version.map { ["\($0) desc nulls last"] } ?? [])
            + (Self.lineage + ["ctid"]).map { "\($0) \(direction)" }
        let mark = key.keepsDeletions ? ", \(marksDeletions ? "coalesce(_deleted, false)" : "false") as deletes" : ""
        // Chunks that are older than a column of the rank do not have it.
        let ranked = key.primaryKey + (key.versionColumn.map { [$0] } ?? [])
        let all = Self.list(columns + ranked.filter { !columns.contains($0) })
        return """
            select distinct on (\(keyList)) \(all)\(mark) from \(Self.stage)
            order by \(order.joined(separator: ", "))
            """
    }

    private func insert(from rows: String, returning: String) -> String {
        let set = (key.columns + [TableDefinition.extra] + Self.lineage).filter { !key.primaryKey.contains($0) }
            .map { "\(Self.quoted($0)) = excluded.\(Self.quoted($0))" }
        return """
            insert into \(target) as old (\(list)) select \(list) from \(rows) order by \(keyList)
            on conflict (\(keyList)) do update set \(set.joined(separator: ", "))
            where \(outranks("excluded", "old")) or \(isLevel("excluded", "old"))
                and (excluded.*)::text collate "C" \(mode == .upsert ? ">" : "<") (old.*)::text collate "C"
            returning \(returning)
            """
    }

    private var plain: String {
        """
        with winner as (\(winners)), written as (\(insert(from: "winner", returning: "_batch, _out, _row")))
        select _batch, _out, array_agg(_row) from written group by _batch, _out
        """
    }

    /// Each key is in the table or among the deleted ones or nowhere. It is written once in the statement: a winner
    /// either lives or deletes. Nobody else merges into the dataset meanwhile, so what the statement sees is what is.
    private var withDeletions: String {
        let kept = Self.list(key.primaryKey + (key.versionColumn.map { [$0] } ?? []) + Self.lineage)
        let sets = ((key.versionColumn.map { [Self.quoted($0)] } ?? []) + Self.lineage).map { "\($0) = excluded.\($0)" }
        return """
            with winner as materialized (\(winners)),
            live as (
                select w.* from winner w where not w.deletes and not exists (
                    select from \(deleted) d where \(sameKey("d", "w")) and not (\(outranks("w", "d"))))
            ),
            written as (\(insert(from: "live", returning: "_batch, _out, _row, " + keyList))),
            revived as (delete from \(deleted) d using written w where \(sameKey("d", "w"))),
            fatal as (
                select w.* from winner w where w.deletes and not exists (
                    select from \(deleted) d where \(sameKey("d", "w")) and not (\(outranks("w", "d"))))
                    and not exists (select from \(target) t where \(sameKey("t", "w")) and (\(outranks("t", "w"))))
            ),
            removed as (delete from \(target) t using fatal w where \(sameKey("t", "w"))),
            buried as (
                insert into \(deleted) (\(kept)) select \(kept) from fatal order by \(keyList)
                on conflict (\(keyList)) do update set \(sets.joined(separator: ", ")), _at = now()
                returning _batch, _out, _row
            )
            select _batch, _out, array_agg(_row)
            from (select _batch, _out, _row from written union all select * from buried) done group by _batch, _out
            """
    }

    /// Whether row `a` is to stay rather than row `b`.
    private func outranks(_ a: String, _ b: String) -> String {
        func lineage(_ row: String) -> String {
            "(" + Self.lineage.map { "\(row).\($0)" }.joined(separator: ", ") + ")"
        }
        let later = "\(lineage(a)) \(mode == .upsert ? ">" : "<") \(lineage(b))"
        guard let version else { return later }
        return """
            case when \(a).\(version) is distinct from \(b).\(version)
            then coalesce(\(a).\(version) > \(b).\(version), \(a).\(version) is not null) else \(later) end
            """
    }

    private func isLevel(_ a: String, _ b: String) -> String {
        (Self.lineage + (version.map { [$0] } ?? [])).map { "\(a).\($0) is not distinct from \(b).\($0)" }
            .joined(separator: " and ")
    }

    private func sameKey(_ a: String, _ b: String) -> String {
        key.primaryKey.map(Self.quoted).map { "\(a).\($0) = \(b).\($0)" }.joined(separator: " and ")
    }

    private static func quoted(_ name: String) -> String { PostgresQuery.quoted(identifier: name) }
    private static func list(_ names: [String]) -> String { names.map(quoted).joined(separator: ", ") }
}
