import Postgres

/// Looks up chunks whose rows go into a table that is to take a dataset's place, as `FindReplacements` does.
struct FindRebuildChunks: PostgresStatement {
    static let sql = """
        select c.id, c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, c.columns, c.types, c.rows,
            c.raw_bytes, case
                when not millrace.is_going_on(r.state, r.deadline) or b.state not in ('transformed', 'dead')
                    then 'settled'
                else 'wanted' end, coalesce(c.mode, 'append'), c.run, c.ordinal
        from landing.chunk c
        join millrace.run r on r.id = c.run
        join millrace.run_batch b on b.run = c.run and b.ordinal = c.ordinal
        where c.id = any($1)
        order by c.run, c.id
        """
    var ids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(ids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChunkHead {
        try FindReplacements.decode(row)
    }
}

/// Notes down what the ledger is to say of chunks, all their rows counted as stored, and as duplicates those that a
/// step has left out.
struct FillParts: PostgresStatement {
    static let sql = """
        update millrace.rebuild_part p set stored = c.rows, filtered = c.filtered, quarantined = c.quarantined,
            duplicates = coalesce(c.duplicates, 0), receipt_counts = c.receipt_counts, fault_rows = c.fault_rows,
            fault_stages = c.fault_stages, fault_errors = c.fault_errors, fault_raws = c.fault_raws
        from landing.chunk c where c.id = any($1) and p.run = c.run and p.ordinal = c.ordinal
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }
}

/// Adds records that the table refused to those that are to be quarantined.
struct AddPartFaults: PostgresStatement {
    static let sql = """
        update millrace.rebuild_part set fault_rows = fault_rows || $3::int4[],
            fault_stages = fault_stages || array_fill('store'::text, array[cardinality($3::int4[])]),
            fault_errors = fault_errors || $4::jsonb[], fault_raws = fault_raws || $5::bytea[]
        where run = $1 and ordinal = $2
        """
    var chunk: ChunkHead
    var records: [RefusedRecord]

    var parameters: [PostgresValue] {
        [
            .int8(chunk.runPlace?.run ?? 0), .int4(chunk.runPlace?.ordinal ?? 0), .int4Array(records.map(\.row)),
            .jsonArray(records.map(\.errors)), .byteaArray(records.map(\.raw)),
        ]
    }
}

/// As `FindReceiptCounts`, of what waits to be counted.
struct FindPartReceiptCounts: PostgresStatement {
    static let sql = """
        select c.place, b.receipt_ends, coalesce(p.receipt_counts, '{}')
        from unnest($1::int8[], $2::int4[]) with ordinality as c (run, ordinal, place)
        join millrace.rebuild_part p on p.run = c.run and p.ordinal = c.ordinal
        join millrace.batch b on b.id = p.batch_id
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { chunks.runPlaceParameters }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptCounts.Found {
        try ReceiptCounts.Found(row)
    }
}

/// As `CountLost`, of what waits to be counted.
struct CountLostOfParts: PostgresStatement {
    static let sql = """
        update millrace.rebuild_part p set stored = p.stored - c.rows, quarantined = p.quarantined + c.quarantined,
            duplicates = p.duplicates + c.duplicates, filtered = p.filtered + c.filtered,
            receipt_counts = coalesce(c.receipt_counts::int4[], p.receipt_counts)
        from unnest($1::int8[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::int4[],
                $7::text[])
            as c (run, ordinal, rows, quarantined, duplicates, filtered, receipt_counts)
        where p.run = c.run and p.ordinal = c.ordinal
        """
    var updates: [LostRows.Update]

    var parameters: [PostgresValue] {
        updates.map(\.chunk).runPlaceParameters + [
            .int4Array(updates.map(\.rows)), .int4Array(updates.map(\.quarantined)),
            .int4Array(updates.map(\.duplicates)), .int4Array(updates.map(\.filtered)),
            .textArray(
                updates.map { update in
                    update.receiptCounts.map { "{" + $0.map(String.init).joined(separator: ",") + "}" }
                }),
        ]
    }
}

/// Writes into the runs' batches what was counted of them.
struct CountRunParts: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set stored = p.stored, filtered = p.filtered, quarantined = p.quarantined,
            duplicates = p.duplicates
        from unnest($1::int8[], $2::int4[]) as c (run, ordinal)
        join millrace.rebuild_part p on p.run = c.run and p.ordinal = c.ordinal
        where b.run = c.run and b.ordinal = c.ordinal
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { chunks.runPlaceParameters }
}

/// What is rebuilding a dataset.
struct Rebuild: Sendable {
    var run: Int64
    var datasetID: Int64
    var mode: LoadMode
    /// The tables are there.
    var isMade: Bool
    var isGoingOn: Bool

    static let columns = """
        x.run, x.dataset_id, x.mode, x.made,
        r.state in ('queued', 'running') and millrace.is_going_on(r.state, r.deadline)
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        guard let mode = LoadMode(rawValue: try row.text(2)) else {
            throw PostgresError(.decode, "a rebuild's mode is not known here", doing: "find a rebuild")
        }
        run = try row.int8(0)
        datasetID = try row.int8(1)
        self.mode = mode
        isMade = try row.bool(3)
        isGoingOn = try row.bool(4)
    }
}

/// The rebuild of a dataset. No row: there is none.
struct FindRebuild: PostgresStatement {
    static let sql = """
        select \(Rebuild.columns) from millrace.rebuild x join millrace.run r on r.id = x.run where x.dataset_id = $1
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Rebuild { try Rebuild(row) }
}

/// The rebuild that a run is, locked. No row: rows went into the dataset's table only since it ended.
struct LockRebuild: PostgresStatement {
    static let sql = """
        select \(Rebuild.columns) from millrace.rebuild x join millrace.run r on r.id = x.run
        where x.run = $1 for update of x
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Rebuild { try Rebuild(row) }
}

struct MarkShadowMade: PostgresStatement {
    static let sql = "update millrace.rebuild set made = true where run = $1"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Ends the rebuilds of a dataset: what is filled beside its table does not have its rows any more.
struct EndRebuild: PostgresStatement {
    static let sql = "delete from millrace.rebuild where dataset_id = $1"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// Ends the rebuilds of datasets from which rows of outputs are deleted.
struct EndRebuilds: PostgresStatement {
    static let sql = """
        delete from millrace.rebuild x using unnest($1::int8[], $2::int8[]) as c (batch_id, pipeline_id)
        join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
        where x.dataset_id = a.dataset_id
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] { batches.batchParameters }
}

/// Enters outputs of a rebuild that there have not been.
struct EnsurePartOutputs: PostgresStatement {
    static let sql = """
        insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
        select p.batch_id, p.pipeline_id, 0, b.source_id, 'stored', b.records
        from millrace.rebuild_part p join millrace.batch b on b.id = p.batch_id
        where p.run = $1
        on conflict do nothing
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

/// Writes what a rebuild has counted into the ledger. Affects fewer rows than there are outputs when one of them has
/// not been loaded, or is a later version's by now.
struct ReplacePartOutputs: PostgresStatement {
    static let sql = """
        update millrace.application a set state = 'stored', version = p.version, dataset_id = $2, stored = p.stored,
            filtered = p.filtered, quarantined = p.quarantined, duplicates = p.duplicates,
            receipt_counts = p.receipt_counts, error = null, transformed_at = now(), stored_at = now(), run_id = $1
        from (
            select p.batch_id, p.pipeline_id, min(p.version) as version, sum(p.stored) as stored,
                sum(p.filtered) as filtered, sum(p.quarantined) as quarantined, sum(p.duplicates) as duplicates,
                case when count(*) = 1 then min(p.receipt_counts) else (
                    select array_agg(n.total order by n.place) from (
                        select c.place, sum(c.count)::int4 as total from millrace.rebuild_part o
                        cross join unnest(o.receipt_counts) with ordinality as c (count, place)
                        where o.run = $1 and o.batch_id = p.batch_id and o.pipeline_id = p.pipeline_id group by c.place
                    ) n
                ) end as receipt_counts
            from millrace.rebuild_part p where p.run = $1
            group by p.batch_id, p.pipeline_id having bool_and(p.stored is not null)
        ) p
        where a.batch_id = p.batch_id and a.pipeline_id = p.pipeline_id
            and a.output = 0 and a.state = 'stored' and coalesce(a.version <= p.version, true)
        """
    var run: Int64
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(datasetID)] }
}

/// How many outputs a rebuild makes anew.
struct CountPartOutputs: PostgresStatement {
    static let sql = "select count(distinct (batch_id, pipeline_id)) from millrace.rebuild_part where run = $1"
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
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
                select unnest(h.rows) except select unnest(p.fault_rows) order by 1)
            from millrace.rebuild_part p
            where p.run = $1 and p.records is not null and h.batch_id = p.batch_id and h.pipeline_id = p.pipeline_id
                and h.version = p.version and cardinality(p.fault_rows) > 0
        )
        delete from landing.quarantine q using millrace.rebuild_part p
        where p.run = $1 and q.batch_id = p.batch_id and q.pipeline_id = p.pipeline_id and q.output = 0
        """
    var run: Int64

    var parameters: [PostgresValue] { [.int8(run)] }
}

struct MovePartQuarantine: PostgresStatement {
    static let sql = """
        insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors, raw)
        select p.batch_id, f.row, p.pipeline_id, 0, p.version, $2, f.stage, f.errors, f.raw
        from millrace.rebuild_part p
        cross join unnest(p.fault_rows, p.fault_stages, p.fault_errors, p.fault_raws) as f (row, stage, errors, raw)
        where p.run = $1
        """
    var run: Int64
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(datasetID)] }
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

/// Datasets with a table that was to take their own's place, and will not.
struct ListLeftShadows: PostgresStatement {
    static let sql = """
        select d.id from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        where to_regclass(format('%I.%I', w.schema_name, d.name || '.re')) is not null and not exists (
            select from millrace.rebuild x join millrace.run r on r.id = x.run
            where x.dataset_id = d.id and millrace.is_going_on(r.state, r.deadline))
        """
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Forgets what runs have counted that have ended for good, or left the ledger.
struct ForgetEndedParts: PostgresStatement {
    static let sql = """
        delete from millrace.rebuild_part p where not exists (
            select from millrace.run r where r.id = p.run and millrace.is_going_on(r.state, r.deadline))
        """
    var parameters: [PostgresValue] { [] }
}

extension [ChunkHead] {
    /// Runs and ordinals.
    fileprivate var runPlaceParameters: [PostgresValue] {
        [.int8Array(map { $0.runPlace?.run ?? 0 }), .int4Array(map { $0.runPlace?.ordinal ?? 0 })]
    }
}
