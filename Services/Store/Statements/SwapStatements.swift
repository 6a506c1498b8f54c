import Postgres
import Records

/// The datasets that a run fills anew, in the order of their ids, locked. No row: rows went into a dataset's table only
/// since the run ended.
struct LockRebuild: PostgresStatement {
    static let sql = """
        select \(Rebuild.columns) from millrace.rebuild x join millrace.run r on r.id = x.run
        where x.run = $1 order by x.dataset_id for update of x
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Rebuild { try Rebuild(row) }
}

/// Locks the outputs that there are of a rebuild's parts and are made anew; nobody waits who stores another one.
struct LockPartOutputs: PostgresStatement {
    static let sql = """
        with held as materialized (
            select a.output from millrace.application a
            where exists (select from millrace.rebuild_part p
                where p.run = $1 and p.batch_id = a.batch_id and p.pipeline_id = a.pipeline_id
                    and (p.outputs is null or a.output = any(p.outputs)))
            order by a.batch_id, a.pipeline_id, a.output for no key update of a
        )
        select count(*) from held
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Whether all is there that a rebuild's parts are to become; and how many outputs they make anew.
struct CountPartOutputs: PostgresStatement {
    static let sql = """
        select count(distinct (p.batch_id, p.pipeline_id, o.output)),
            coalesce(bool_and(o.output is not null and d.id is not null
                and (p.outputs is null or o.dataset_id = any($2)) and (o.chunk is null or c.id is not null)), true)
        from millrace.rebuild_part p
        left join millrace.rebuild_output o on o.run = p.run and o.ordinal = p.ordinal
        left join millrace.dataset d on d.id = o.dataset_id
        left join landing.chunk c on c.id = o.chunk
        where p.run = $1
        """
    var run: Int64
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8(run), .int8Array(datasetIDs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (outputs: Int64, areAllThere: Bool) {
        (try row.int8(0), try row.bool(1))
    }
}

/// What the chunks have in common that wait to be appended: their datasets, columns and types.
struct ListPartKeys: PostgresStatement {
    static let sql = """
        select distinct c.dataset_id, c.columns, c.types
        from millrace.rebuild_output o join landing.chunk c on c.id = o.chunk where o.run = $1
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(
        _ row: PostgresRow
    ) throws(PostgresError) -> (datasetID: Int64, columns: [String], types: [String]) {
        (try row.int8(0), try row.textArray(1), try row.textArray(2))
    }
}

/// Chunks of a range of a rebuild's parts that wait to be appended, as `FindReplacements` gives them.
struct FindPartChunks: PostgresStatement {
    static let sql = """
        select c.id, c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, c.columns, c.types, c.rows,
            c.raw_bytes, 'wanted', coalesce(c.mode, 'append'), c.run, c.ordinal
        from millrace.rebuild_output o join landing.chunk c on c.id = o.chunk
        where o.run = $1 and o.ordinal >= $2 and o.ordinal < $3 order by o.ordinal, o.output
        """
    var run: Int64
    var ordinals: Range<Int32>

    var parameters: [PostgresValue] { [.int8(run), .int4(ordinals.lowerBound), .int4(ordinals.upperBound)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChunkHead { try FindReplacements.decode(row) }
}

/// Where rows of a range of the batches are that the replayed pipeline makes anew with all outputs, beside the datasets
/// that are filled anew.
struct FindPartPlaces: PostgresStatement {
    static let sql = """
        select a.batch_id, a.pipeline_id, a.output, false, w.schema_name, d.name
        from millrace.rebuild_part p join millrace.run r on r.id = p.run and r.pipeline_id = p.pipeline_id
        join millrace.application a on a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id
        join millrace.dataset d on d.id = a.dataset_id and d.table_created
        join millrace.workspace w on w.id = d.workspace_id
        where p.run = $1 and p.ordinal >= $2 and p.ordinal < $3 and p.outputs is null and d.id <> all($4)
        order by d.id, a.output
        """
    var run: Int64
    var ordinals: Range<Int32>
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] {
        [.int8(run), .int4(ordinals.lowerBound), .int4(ordinals.upperBound), .int8Array(datasetIDs)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> OutputPlace { try LockOutputs.decode(row) }
}

/// As `FindSharedOutput`, of a rebuild's parts, beside the datasets that are filled anew.
struct FindSharedPart: PostgresStatement {
    static let sql = """
        select a.batch_id
        from millrace.rebuild_part p join millrace.run r on r.id = p.run and r.pipeline_id = p.pipeline_id
        join millrace.application a on a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id
        join millrace.application o on o.batch_id = a.batch_id and o.pipeline_id <> a.pipeline_id
            and o.output = a.output and o.dataset_id = a.dataset_id and (o.stored > 0 or o.state <> 'stored')
        where p.run = $1 and p.outputs is null and a.dataset_id <> all($2) limit 1
        """
    var run: Int64
    var datasetIDs: [Int64]

    var parameters: [PostgresValue] { [.int8(run), .int8Array(datasetIDs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Enters outputs of a rebuild that there have not been.
struct EnsurePartOutputs: PostgresStatement {
    static let sql = """
        insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
        select distinct p.batch_id, p.pipeline_id, o.output, b.source_id, 'stored', b.records
        from millrace.rebuild_part p
        join millrace.rebuild_output o on o.run = p.run and o.ordinal = p.ordinal
        join millrace.batch b on b.id = p.batch_id
        where p.run = $1
        on conflict do nothing
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Writes what a rebuild has counted into the ledger. Affects fewer rows than there are outputs when one of them is not
/// stored, or is a later version's or a later run's by now.
struct ReplacePartOutputs: PostgresStatement {
    static let sql = """
        update millrace.application a set state = 'stored', version = p.version, dataset_id = p.dataset_id,
            received = coalesce(p.received, a.received), stored = p.stored, filtered = p.filtered,
            quarantined = p.quarantined, duplicates = p.duplicates, receipt_received = p.receipt_received,
            receipt_counts = p.receipt_counts, error = null, transformed_at = now(), stored_at = now(), run_id = $1
        from (
            select p.batch_id, p.pipeline_id, o.output, min(p.version) as version, min(o.dataset_id) as dataset_id,
                sum(o.received) as received, sum(o.stored) as stored, sum(o.filtered) as filtered,
                sum(o.quarantined) as quarantined, sum(o.duplicates) as duplicates,
                millrace.add_up(o.receipt_received) as receipt_received,
                millrace.add_up(o.receipt_counts) as receipt_counts
            from millrace.rebuild_part p
            join millrace.rebuild_output o on o.run = p.run and o.ordinal = p.ordinal
            where p.run = $1 group by p.batch_id, p.pipeline_id, o.output
        ) p
        where a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id and a.output = p.output
            and a.state = 'stored' and coalesce(a.version <= p.version, true) and coalesce(a.run_id <= $1, true)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Takes outputs out of the ledger that the replayed pipeline has no more.
struct DropPartOutputs: PostgresStatement {
    static let sql = """
        delete from millrace.application a using millrace.rebuild_part p
        where p.run = $1 and p.outputs is null and a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id
            and not exists (select from millrace.rebuild_output o
                where o.run = p.run and o.ordinal = p.ordinal and o.output = a.output)
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Takes what is quarantined of a rebuild's outputs, and out of the records that were healed those that are not any
/// more.
struct DeletePartQuarantine: PostgresStatement {
    static let sql = """
        with forgotten as (
            delete from millrace.healed h using millrace.rebuild_part p
            where p.run = $1 and p.records is null and h.batch_id = p.batch_id and h.pipeline_id = p.pipeline_id
        ), failed as (
            update millrace.healed h set rows = array(
                select unnest(h.rows) except select unnest(f.rows) order by 1)
            from (
                select p.batch_id, p.pipeline_id, p.version, array_agg(x.row) as rows
                from millrace.rebuild_part p
                join millrace.rebuild_output o on o.run = p.run and o.ordinal = p.ordinal
                cross join unnest(o.fault_rows) as x (row)
                where p.run = $1 and p.records is not null group by p.batch_id, p.pipeline_id, p.version
            ) f
            where h.batch_id = f.batch_id and h.pipeline_id = f.pipeline_id and h.version = f.version
        )
        delete from landing.quarantine q using millrace.rebuild_part p
        where p.run = $1 and q.batch_id = p.batch_id and q.pipeline_id = p.pipeline_id
            and (p.outputs is null or q.output = any(p.outputs))
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

struct MovePartQuarantine: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select p.batch_id, f.row, p.pipeline_id, o.output, p.version, o.dataset_id, f.stage, f.errors, f.raw
        from millrace.rebuild_part p
        join millrace.rebuild_output o on o.run = p.run and o.ordinal = p.ordinal
        cross join unnest(o.fault_rows, o.fault_stages, o.fault_errors, o.fault_raws) as f (row, stage, errors, raw)
        where p.run = $1
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// The exchange of a run's tables is done, or given up.
struct EndExchange: PostgresStatement {
    static let sql = """
        update millrace.run_batch set state = $2, error = left($3, 2000), dead_letter = $4
        where run = $1 and batch = 0 and state in ('transformed', 'dead')
        """
    var run: Int64
    var error: String?
    var job: Int64?

    var parameters: [PostgresValue] {
        [
            .int8(run), .text(error == nil ? "stored" : "dead"), .optional(error) { .text($0) },
            .optional(job) { .int8($0) },
        ]
    }
}

/// How many parts a run has.
struct CountParts: PostgresStatement {
    static let sql = "select coalesce(max(ordinal) + 1, 0) from millrace.rebuild_part where run = $1"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

struct ForgetParts: PostgresStatement {
    static let sql = """
        with gone as (
            delete from millrace.rebuild where run = $1
        )
        delete from millrace.rebuild_part where run = $1
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}
