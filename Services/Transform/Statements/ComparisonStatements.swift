import JSON
import Postgres
import Records

/// A dataset as a dry run compares with it. No row: it is not there.
struct FindComparedTable: PostgresStatement {
    static let sql = """
        select case when d.table_created then w.schema_name end, x.dataset_id is not null,
            array(select jsonb_array_elements_text(coalesce(d.definition->'primary_key', '[]'))),
            d.definition->>'version_column',
            array(select c.name from millrace.dataset_column c where c.dataset_id = d.id and c.state <> 'extra'
                order by c.ordinal),
            array(select c.type from millrace.dataset_column c where c.dataset_id = d.id and c.state <> 'extra'
                order by c.ordinal),
            array(select (c.state = 'applied')::int4 from millrace.dataset_column c
                where c.dataset_id = d.id and c.state <> 'extra' order by c.ordinal)
        from millrace.dataset d
        join millrace.workspace w on w.id = d.workspace_id
        left join millrace.dataset_deletions x on x.dataset_id = d.id
        where d.workspace_id = $1 and d.name = $2
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ComparedTable.Found {
        let (names, types, applied) = (try row.textArray(4), try row.textArray(5), try row.int4Array(6))
        var columns: [ComparedTable.Column] = []
        for place in names.indices {
            guard let type = ColumnType(rawValue: types[place]) else {
                throw PostgresError(.decode, "a column's type is not known here", doing: "find a dataset's columns")
            }
            columns.append(ComparedTable.Column(name: names[place], type: type, isApplied: applied[place] == 1))
        }
        return ComparedTable.Found(
            schema: try row.optionalText(0), keepsDeletions: try row.bool(1), primaryKey: try row.textArray(2),
            versionColumn: try row.optionalText(3), columns: columns)
    }
}

extension ComparedTable {
    /// What the catalog says of a dataset.
    struct Found: Sendable {
        /// Nil: there is no table.
        var schema: String?
        var keepsDeletions: Bool
        var primaryKey: [String]
        var versionColumn: String?
        var columns: [Column]
    }

    init(_ name: String, _ found: Found?) {
        guard let found else { return }
        primaryKey = found.primaryKey
        columns = found.columns
        guard let schema = found.schema else { return }
        func quoted(_ table: String) -> String {
            PostgresQuery.quoted(identifier: schema) + "." + PostgresQuery.quoted(identifier: table)
        }
        relation = quoted(name)
        if found.keepsDeletions { deletedRelation = quoted(name + ".deleted") }
        versionColumn = found.versionColumn.flatMap { version in
            columns.contains { $0.name == version && $0.isApplied } ? version : nil
        }
    }
}

/// Where rows are that a replay of batches would take away: those of all outputs; for a heal those that a table took of
/// records which another row of was refused.
struct FindComparedPlaces: PostgresStatement {
    static let sql = """
        select d.name, a.batch_id, a.output, q.row
        from millrace.application a
        join millrace.dataset d on d.id = a.dataset_id
        left join (
            select distinct q.batch_id, q.pipeline_id, q.row from landing.quarantine q
            join millrace.run r on r.id = $1 and r.pipeline_id = q.pipeline_id
            where r.kind = 'heal' and q.batch_id = any($3) and q.stage = 'store'
        ) q on q.batch_id = a.batch_id and q.pipeline_id = a.pipeline_id
        where a.batch_id = any($3) and a.pipeline_id = $2
            and (q.row is not null or exists (select from millrace.run r where r.id = $1 and r.kind = 'replay'))
        """
    var run: Int64
    var pipelineID: Int64
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8(run), .int8(pipelineID), .int8Array(batches)] }

    static func decode(
        _ row: PostgresRow
    ) throws(PostgresError) -> (dataset: String, place: ComparedTable.Place) {
        (
            try row.text(0),
            ComparedTable.Place(
                batchID: try row.int8(1), output: try row.int2(2), row: row.isNull(3) ? nil : try row.int4(3))
        )
    }
}

/// Moves a batch of a dry run on: to its end, or to where its chunks wait to be compared. Affects no row when it was
/// moved meanwhile.
struct MarkCompared: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = case when $3::int8[] = '{}' then 'stored' else 'transformed' end,
            error = null, dead_letter = null, chunks = $3, records = $4, stored = $5, filtered = $6, quarantined = $7,
            duplicates = $8, changes = $9
        where run = $1 and ordinal = $2 and state in ('queued', 'dead')
        """
    var run: Int64
    var batch: ComparedBatch

    var parameters: [PostgresValue] {
        [
            .int8(run), .int4(batch.ordinal), .int8Array(batch.chunks), .optional(batch.tried) { .int4($0) },
            .int4(batch.stored), .int4(batch.filtered), .int4(batch.quarantined), .int4(batch.duplicates),
            .json(JSONValue.array(batch.changes.map(\.json)).serialized()),
        ]
    }
}

/// What a run compares at its end. No row: it has ended.
struct FindLastComparison: PostgresStatement {
    static let sql = """
        select r.workspace_id, v.definition, r.kind = 'replay', (select max(b.ordinal) from millrace.run_batch b
            where b.run = r.id)
        from millrace.run r
        join millrace.pipeline_version v on v.pipeline_id = r.pipeline_id and v.version = r.version
        where r.id = $1 and millrace.is_going_on(r.state, r.deadline)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LastComparison {
        LastComparison(
            workspaceID: try row.int8(0), definition: try row.json(1), isReplay: try row.bool(2),
            lastOrdinal: try row.int4(3))
    }
}

struct LastComparison: Sendable {
    var workspaceID: Int64
    var definition: [UInt8]
    var isReplay: Bool
    /// Of the run's batches, the one that stands for the comparison.
    var lastOrdinal: Int32
}

/// A chunk that waits to be compared, with its rows.
struct ListWaitingChunks: PostgresStatement {
    static let sql = """
        select x.id, c.columns, c.raw_bytes, c.body
        from millrace.run_batch b cross join unnest(b.chunks) as x (id)
        left join landing.chunk c on c.id = x.id left join millrace.dataset d on d.id = c.dataset_id
        where b.run = $1 and b.ordinal = $2 and (c.id is null or d.name = $3) order by x.id
        """
    var run: Int64
    var ordinal: Int32
    var dataset: String

    var parameters: [PostgresValue] { [.int8(run), .int4(ordinal), .text(dataset)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> WaitingChunk {
        guard !row.isNull(3) else { return WaitingChunk(id: try row.int8(0)) }
        return WaitingChunk(
            id: try row.int8(0), columns: try row.textArray(1), rawBytes: try row.int4(2), body: try row.bytes(3))
    }
}

struct WaitingChunk: Sendable {
    var id: Int64
    var columns: [String] = []
    var rawBytes: Int32 = 0
    /// Compressed; nil where the chunk has left.
    var body: [UInt8]?
}

/// Ends a run's comparison: nothing waits any more.
struct EndComparison: PostgresStatement {
    static let sql = """
        with forgotten as (
            delete from millrace.rebuild_part where run = $1
        )
        update millrace.run_batch set state = 'stored', chunks = null, error = null, dead_letter = null,
            changes = case when batch = 0 then $2 else changes end
        where run = $1 and (state = 'transformed' or batch = 0 and state = 'dead' or chunks is not null)
        """
    var run: Int64
    var changes: [RowChanges]

    var parameters: [PostgresValue] {
        [.int8(run), .json(JSONValue.array(changes.map(\.json)).serialized())]
    }
}

/// Gives a run's comparison up.
struct GiveUpComparison: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = case when batch = 0 then 'dead' else 'superseded' end,
            error = case when batch = 0 then left($2, 2000) end, dead_letter = case when batch = 0 then $3::int8 end
        where run = $1 and state = 'transformed'
        """
    var run: Int64
    var error: String
    var job: Int64

    var parameters: [PostgresValue] { [.int8(run), .text(error), .int8(job)] }
}

/// What a dry run would change, as far as it was compared.
struct FindRunChanges: PostgresStatement {
    static let sql = "select dataset, added, removed, changed, columns from millrace.run_changes($1)"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> RowChanges {
        var changes = RowChanges(
            dataset: try row.text(0), added: try row.int8(1), removed: try row.int8(2), changed: try row.int8(3))
        changes.add(columns: try row.json(4))
        return changes
    }
}
