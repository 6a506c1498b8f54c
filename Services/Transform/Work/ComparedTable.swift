import Postgres
import Records

/// A dataset's table as a dry run compares with it, and the temporary one beside it that holds what would come.
///
/// What is made lives as long as the transaction. Rows reach the temporary table as binary COPY.
struct ComparedTable: Sendable {
    struct Column: Sendable {
        var name: String
        var type: ColumnType
        /// The table has it already.
        var isApplied: Bool
    }

    /// Which rows of the dataset an output of a batch has.
    struct Place: Sendable, Hashable {
        var batchID: Int64
        var output: Int16
        /// Of one record only; nil: all.
        var row: Int32?
    }

    /// Nil where the dataset is not there, or has no table yet.
    var relation: String?
    /// Nil where nothing was deleted.
    var deletedRelation: String?
    var primaryKey: [String] = []
    var versionColumn: String?
    var columns: [Column] = []

    static let stage = "pg_temp.millrace_dry"

    /// Makes the temporary table.
    var create: PostgresQuery {
        let own = columns.map { "\(PostgresQuery.quoted(identifier: $0.name)) \($0.type.rawValue)" }
        let all = ["_batch int8", "_row int4", "_out int4"] + own + ["_extra jsonb", "_deleted bool"]
        return "create temporary table millrace_dry (\(unsafeText: all.joined(separator: ", "))) on commit drop"
    }

    /// Takes a chunk's rows into it.
    ///
    /// - Parameters:
    ///   - body: what `CopyBinaryEncoder` wrote, compressed.
    ///   - rawBytes: its length before that.
    static func load(
        _ body: [UInt8], rawBytes: Int32, _ columns: [String], _ connection: PostgresConnection
    ) async throws {
        let rows = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try Zstd.decompress(body, limit: Int(rawBytes))
        }
        let copy: PostgresQuery = """
            copy pg_temp.millrace_dry (\(identifiers: CopyBinaryEncoder.lineageColumns + columns))
            from stdin (format binary)
            """
        try await connection.copyIn(copy) { writer in
            try await writer.write(CopyBinaryEncoder.header)
            try await writer.write(rows)
            try await writer.write(CopyBinaryEncoder.trailer)
        }
    }

    /// Takes out the records of which the table would refuse a row that is appended, because of its primary key: that
    /// row's key is another one's of the rows that would come, or of those that are there and stay.
    func sift(_ places: [Place]) -> PostgresQuery? {
        guard !primaryKey.isEmpty else { return nil }
        let keys = primaryKey.map(PostgresQuery.quoted(identifier:))
        let same = keys.map { "t.\($0) = s.\($0)" }.joined(separator: " and ")
        let taken =
            relation.map { "exists (select from \($0) t where \(same) and not \(Self.among(places)))" } ?? "false"
        let sql = """
            with keyed as (
                select s.*, row_number() over (partition by \(keys.joined(separator: ", ")) order by s.ctid) as _nth
                from \(Self.stage) s
            ), refused as (
                select distinct s._batch, s._row from keyed s
                where s._nth > 1 or \(taken)
            ), gone as (
                delete from \(Self.stage) s using refused r where s._batch = r._batch and s._row = r._row
                returning s._batch, s._row
            )
            select _batch, count(*)::int4, count(distinct _row)::int4 from gone group by _batch
            """
        return "\(unsafeText: sql)"
    }

    /// Rows that are appended take the place of those of these outputs. They are told apart by their record, and of one
    /// record by their order.
    func comparison(replacing places: [Place]) -> RowComparison {
        func numbered(_ rows: String) -> String {
            """
            select true as _present, t._batch, t._row,
                row_number() over (partition by t._batch, t._row order by t._out, t.ctid) as _nth, \(rows)
            """
        }
        let old: String
        if let relation, !places.isEmpty {
            let batches = Set(places.map(\.batchID)).map(String.init).joined(separator: ", ")
            old = """
                \(numbered(list("t", ofTable: true))) from \(relation) t
                where t._batch in (\(batches)) and \(Self.among(places))
                """
        } else {
            old = "\(numbered(list("t"))) from \(Self.stage) t where false"
        }
        return RowComparison(
            columns: columns.map(\.name), keys: ["_batch", "_row", "_nth"], old: old,
            new: "\(numbered(list("t"))) from \(Self.stage) t")
    }

    /// Rows are merged by the key. Those of a run's parts are not there any more; where it has none, what would come
    /// meets what is there.
    ///
    /// - Parameter rebuilt: the run that makes its parts anew.
    func comparison(_ mode: PipelineDefinition.Mode, rebuilt run: Int64?) -> RowComparison {
        let keys = primaryKey.map(PostgresQuery.quoted(identifier:))
        let keyList = keys.joined(separator: ", ")
        let touched = "(\(keyList)) in (select \(keyList) from \(Self.stage))"
        let stays =
            run.map {
                """
                not exists (select from millrace.rebuild_part p where p.run = \($0) and p.batch_id = t._batch
                    and (p.outputs is null or t._out = any(p.outputs)))
                """
            } ?? touched
        let lineage = "t._batch, t._row, t._out"
        var candidates = [
            "select \(list("t")), \(lineage), coalesce(t._deleted, false) as _deletes, 1 as _fresh, t.ctid as _place "
                + "from \(Self.stage) t"
        ]
        var old = "select true as _present, \(list("t")) from \(Self.stage) t where false"
        if let relation {
            candidates.append(
                "select \(list("t", ofTable: true)), \(lineage), false, 0, t.ctid from \(relation) t where \(stays)")
            old = "select true as _present, \(list("t", ofTable: true)) from \(relation) t"
            if run == nil { old += " where \(touched)" }
        }
        let version = mode == .upsert ? versionColumn : nil
        if mode == .upsert, let deletedRelation {
            let kept = Set(primaryKey + (version.map { [$0] } ?? []))
            candidates.append(
                "select \(list("t", kept)), \(lineage), true, 0, t.ctid from \(deletedRelation) t where \(stays)")
        }
        let direction = mode == .upsert ? "desc" : "asc"
        let order =
            keys + (version.map { ["\(PostgresQuery.quoted(identifier: $0)) desc nulls last"] } ?? [])
            + ["_batch", "_row", "_out", "_fresh", "_place"].map { "\($0) \(direction)" }
        let new = """
            select true as _present, w.* from (
                select distinct on (\(keyList)) c.* from (\(candidates.joined(separator: " union all "))) c
                order by \(order.joined(separator: ", "))
            ) w where not w._deletes
            """
        return RowComparison(columns: columns.map(\.name), keys: primaryKey, old: old, new: new)
    }

    /// The columns and `_extra`, null where the table does not have them or they are not among those kept.
    private func list(_ alias: String, ofTable: Bool = false, _ kept: Set<String>? = nil) -> String {
        let own = columns.map { column in
            let name = PostgresQuery.quoted(identifier: column.name)
            let isThere = !ofTable && kept == nil || column.isApplied && kept?.contains(column.name) ?? true
            return isThere ? "\(alias).\(name)" : "null::\(column.type.rawValue) as \(name)"
        }
        return (own + [kept == nil ? "\(alias)._extra" : "null::jsonb as _extra"]).joined(separator: ", ")
    }

    private func list(_ alias: String, _ kept: Set<String>) -> String { list(alias, ofTable: true, kept) }

    /// Whether row `t` is one of these places'.
    private static func among(_ places: [Place]) -> String {
        guard !places.isEmpty else { return "false" }
        let values = places.map { place in
            let record = place.row.map(String.init) ?? "null"
            return "(\(place.batchID)::int8, \(place.output)::int4, \(record)::int4)"
        }
        return """
            exists (select from (values \(values.joined(separator: ", "))) as p (batch, output, record)
                where p.batch = t._batch and p.output = t._out and coalesce(p.record = t._row, true))
            """
    }
}
