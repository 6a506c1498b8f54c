import JSON
import Postgres
import Records

/// An erasure as it is asked for.
struct StartErasure: PostgresStatement {
    static let sql = "select millrace.start_erasure($1, $2, $3, $4, sha256(convert_to($4, 'UTF8')), $5)"
    var workspaceID: Int64
    var datasetID: Int64
    var keyID: Int64
    var condition: String
    var isDry: Bool

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .int8(datasetID), .int8(keyID), .text(condition), .bool(isDry)]
    }

    /// The run; nil where nothing feeds the dataset.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64? { try row.optionalInt8(0) }
}

/// Notes what an erasure does not reach, besides what is given, and whose token asked for it. Gives all of the former.
struct NoteErasureGaps: PostgresStatement {
    static let sql = """
        update millrace.erasure set not_reached = $2::jsonb || millrace.erasure_gaps(dataset_id), subject = $3
        where run = $1 returning not_reached
        """
    var run: Int64
    var made: Set<FieldNames.MadeColumn>
    var subject: String?

    var parameters: [PostgresValue] {
        let gaps = made.sorted { ($0.column, $0.pipeline, $0.step) < ($1.column, $1.pipeline, $1.step) }.map {
            [
                "kind": "made_column", "name": .string($0.column),
                "detail": .string(
                    "step \($0.step) of pipeline \($0.pipeline) may make it: records without a row are not told by it"),
            ] as JSONValue
        }
        return [.int8(run), .json(JSONValue.array(gaps).serialized()), .optional(subject) { .text($0) }]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] { try row.json(0) }
}

/// All versions of the pipelines that fill a dataset, or did.
struct FindFeedingVersions: PostgresStatement {
    struct Version: Sendable {
        var source: Int64
        var pipeline: String
        var definition: [UInt8]
    }

    static let sql = """
        select p.source_id, p.name, v.definition from millrace.dataset d
        join millrace.pipeline p on p.workspace_id = d.workspace_id
        join millrace.pipeline_version v on v.pipeline_id = p.id
        where d.id = $1 and v.definition is not null
            and exists (select from millrace.targets(v.definition) t where t.dataset = d.name)
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Version {
        Version(source: try row.int8(0), pipeline: try row.text(1), definition: try row.json(2))
    }
}

/// An erasure that is going on.
struct Erasure: Sendable {
    var run: Int64
    var datasetID: Int64
    var condition: String
    var isDry: Bool
    var dataset: String
    /// Nil where the dataset was removed, or has no table.
    var table: OutputPlace.Table?
}

/// No row: the run has ended.
struct FindErasure: PostgresStatement {
    static let sql = """
        select e.run, e.dataset_id, e.condition, e.dry_run, w.schema_name, d.name, e.dataset
        from millrace.erasure e join millrace.run r on r.id = e.run
        left join millrace.dataset d on d.id = e.dataset_id and d.table_created
        left join millrace.workspace w on w.id = d.workspace_id
        where e.run = $1 and e.condition is not null and millrace.is_going_on(r.state, r.deadline)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Erasure {
        let table: OutputPlace.Table? =
            if let schema = try row.optionalText(4), let name = try row.optionalText(5) {
                OutputPlace.Table(schema: schema, name: name)
            } else {
                nil
            }
        return Erasure(
            run: try row.int8(0), datasetID: try row.int8(1), condition: try row.text(2), isDry: try row.bool(3),
            dataset: try row.text(6), table: table)
    }
}

/// The batches of an erasure that are still to be looked at, after an ordinal.
struct FindErasureBatches: PostgresStatement {
    struct Batch: Sendable {
        var ordinal: Int32
        var id: Int64
        var source: Int64
        /// What it is where its records are rows of a table.
        var slice: Slice?

        /// Rows of the dataset that is erased from, or of one that it was made of.
        enum Slice: Sendable { case own, other }
    }

    static let sql = """
        select r.ordinal, r.batch, b.source_id, b.format = 'table', s.kind = 'dataset' and s.name = e.dataset
        from millrace.run_batch r join millrace.batch b on b.id = r.batch
        join millrace.source s on s.id = b.source_id join millrace.erasure e on e.run = r.run
        where r.run = $1 and r.ordinal > $2 and r.batch > 0 and r.state in ('queued', 'dead')
        order by r.ordinal limit 100
        """
    var run: Int64
    var after: Int32

    var parameters: [PostgresValue] { [.int8(run), .int4(after)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Batch {
        let slice: Batch.Slice? = try row.bool(3) ? row.bool(4) ? .own : .other : nil
        return Batch(ordinal: try row.int4(0), id: try row.int8(1), source: try row.int8(2), slice: slice)
    }
}

/// Locks the pipelines that read a batch's source, so that no run over it begins meanwhile, and tells whether somebody
/// has its raw bytes in hands: then it has to wait.
struct HoldBatch: PostgresStatement {
    static let sql = """
        with held as materialized (
            select p.id from millrace.pipeline p join millrace.batch b on b.source_id = p.source_id
            where b.id = $1 order by p.id for no key update of p
        )
        select count(*) from held
        """
    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

struct FindBatchUse: PostgresStatement {
    static let sql = """
        select exists (select from millrace.application a where a.batch_id = $1
                and a.state in ('accepted', 'transformed'))
            or exists (select from millrace.application a join landing.live_job j on j.batch = a.batch_id
                where a.batch_id = $1 and a.state = 'failed')
            or exists (select from millrace.run r join millrace.run_batch b on b.run = r.id
                where r.id <> $2 and not r.dry_run and r.kind <> 'erase' and r.state in ('queued', 'running')
                    and coalesce(r.deadline > clock_timestamp(), true) and b.batch = $1
                    and b.state in ('queued', 'transformed'))
        """
    var batch: Int64
    var run: Int64

    var parameters: [PostgresValue] { [.int8(batch), .int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Locks what is quarantined of a batch, before any table is looked at: a run that replaces a dataset locks the
/// quarantine of earlier runs first and the table after it, too.
struct LockQuarantine: PostgresStatement {
    static let sql = """
        with held as materialized (
            select from landing.quarantine q where q.batch_id = $1 order by q.pipeline_id, q.output, q.row for update
        )
        select count(*) from held
        """
    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// The datasets that outputs of a batch went into, those that keep deleted keys among them.
struct FindBatchTables: PostgresStatement {
    static let sql = """
        select distinct d.id, w.schema_name, d.name, k.dataset_id is not null
        from millrace.application a join millrace.dataset d on d.id = a.dataset_id and d.table_created
        join millrace.workspace w on w.id = d.workspace_id
        left join millrace.dataset_deletions k on k.dataset_id = d.id
        where a.batch_id = $1 order by d.id
        """

    struct Found: Sendable {
        var datasetID: Int64
        var table: OutputPlace.Table
        var keepsDeletions: Bool
    }

    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Found {
        Found(
            datasetID: try row.int8(0), table: OutputPlace.Table(schema: try row.text(1), name: try row.text(2)),
            keepsDeletions: try row.bool(3))
    }
}

/// What is quarantined of a batch, each record once, and the format that it can be read in by itself; nil for CSV,
/// whose header row lies in the batch.
struct FindQuarantinedRaws: PostgresStatement {
    static let sql = """
        select distinct on (q.row) q.row, q.raw, b.format from landing.quarantine q
        join millrace.batch b on b.id = q.batch_id
        where q.batch_id = $1 order by q.row, octet_length(q.raw) desc
        """
    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (row: Int32, raw: [UInt8], format: RecordFormat?) {
        // A row of a table is kept as a line of NDJSON, by `TableRecord`.
        let formats: [String: RecordFormat] = ["ndjson": .ndjson, "json": .json, "text": .text, "table": .ndjson]
        return (try row.int4(0), try row.bytes(1), formats[try row.text(2)])
    }
}

/// Takes records of a batch out of quarantine, and the batch's chunks out of landing; what was made of the batch before
/// counts for nothing any more: an earlier run's chunk is left aside.
struct EraseBeside: PostgresStatement {
    static let sql = """
        with chunk as (
            delete from landing.chunk where batch_id = $1
        ), output as (
            update millrace.application set run_id = greatest(run_id, $3),
                version = case when state = 'failed' then null else version end
            where batch_id = $1
        ), quarantine as (
            delete from landing.quarantine where batch_id = $1 and row = any($2) returning row
        )
        select count(distinct row) from quarantine
        """
    var batch: Int64
    var rows: [Int32]
    var run: Int64

    var parameters: [PostgresValue] { [.int8(batch), .int4Array(rows), .int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Takes the chunks out of landing that rows were loaded from; nobody reads these any more.
struct EraseLoadedChunks: PostgresStatement {
    static let sql = """
        delete from landing.chunk c where c.batch_id = any($1) and not exists (
            select from millrace.application a where a.batch_id = c.batch_id and a.state <> 'stored')
        """
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8Array(batches)] }
}

struct CountQuarantinedOf: PostgresStatement {
    static let sql = "select count(distinct row) from landing.quarantine where batch_id = $1 and row = any($2)"
    var batch: Int64
    var rows: [Int32]

    var parameters: [PostgresValue] { [.int8(batch), .int4Array(rows)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

struct RewritePayload: PostgresStatement {
    static let sql = "update landing.payload set body = $2 where batch_id = $1"
    var batch: Int64
    var body: [UInt8]

    var parameters: [PostgresValue] { [.int8(batch), .bytes(body)] }
}

/// What was erased of a batch, or of the rows whose raw bytes are gone.
struct ErasedCounts: Sendable {
    var records: Int64 = 0
    var quarantined: Int64 = 0
    var unreadable: Int64 = 0
    /// Of datasets by their names.
    var rows: [String: Int64] = [:]
}

/// Moves an erasure's batch on, and adds up what became of it.
struct CountErased: PostgresStatement {
    static let sql = """
        with moved as (
            update millrace.run_batch set state = 'stored', error = null, dead_letter = null, stored = 0,
                filtered = $4, quarantined = $5
            where run = $1 and ordinal = $2 and state in ('queued', 'dead') returning run
        )
        update millrace.erasure e set records = e.records + $4, quarantined = e.quarantined + $5,
            unreadable = e.unreadable + $6, rows = e.rows || coalesce((
                select jsonb_object_agg(n.key, n.value::int8 + coalesce((e.rows ->> n.key)::int8, 0))
                from jsonb_each_text($3) n), '{}')
        from moved where e.run = moved.run
        """
    var run: Int64
    var ordinal: Int32
    var counts: ErasedCounts

    var parameters: [PostgresValue] {
        let rows = JSONValue.object(
            JSONObject(counts.rows.sorted { $0.key < $1.key }.map { ($0.key, .number($0.value)) }))
        return [
            .int8(run), .int4(ordinal), .json(rows.serialized()), .int8(counts.records), .int8(counts.quarantined),
            .int8(counts.unreadable),
        ]
    }
}

/// Ends an erasure's bookkeeping: the condition is forgotten. Where the run has ended otherwise, too.
struct EndErasure: PostgresStatement {
    static let sql = "update millrace.erasure set condition = null, finished_at = clock_timestamp() where run = $1"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Gives up what is left of an erasure.
struct GiveUpErasure: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = 'dead', error = left($2, 2000), dead_letter = $3
        where run = $1 and state = 'queued'
        """
    var run: Int64
    var error: String
    var job: Int64

    var parameters: [PostgresValue] { [.int8(run), .text(error), .int8(job)] }
}

/// A dataset's erasures, the latest first.
struct ListErasures: PostgresStatement {
    static let sql = """
        select e.run, r.state, encode(e.condition_hash, 'hex'), nullif(e.key_id, 0), e.dry_run, e.created_at,
            e.finished_at, e.records, e.quarantined, e.unreadable, e.rows, e.not_reached, e.subject
        from millrace.erasure e join millrace.run r on r.id = e.run
        where e.dataset_id = $1 and e.run < $2 order by e.run desc limit $3
        """

    struct Entry: Sendable {
        var run: Int64
        var state: String
        var hash: String
        /// Nil where a token asked.
        var keyID: Int64?
        /// Of that token.
        var subject: String?
        var isDry: Bool
        var createdAt: Int64
        var finishedAt: Int64?
        var counts: [Int64]
        var rows: [UInt8]
        var notReached: [UInt8]
    }

    var datasetID: Int64
    var before: Int64
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(datasetID), .int8(before), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Entry {
        Entry(
            run: try row.int8(0), state: try row.text(1), hash: try row.text(2),
            keyID: try row.optionalInt8(3), subject: try row.optionalText(12), isDry: try row.bool(4),
            createdAt: try row.timestamp(5), finishedAt: try row.optionalTimestamp(6),
            counts: [try row.int8(7), try row.int8(8), try row.int8(9)], rows: try row.json(10),
            notReached: try row.json(11))
    }
}
