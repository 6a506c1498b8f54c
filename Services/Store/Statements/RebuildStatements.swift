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
/// step has left out. Rows that are appended wait in their chunks. Of a part that makes some outputs anew, only those
/// are taken. Affects fewer rows than there are chunks where one is of another output.
struct FillParts: PostgresStatement {
    static let sql = """
        insert into millrace.rebuild_output (run, ordinal, output, dataset_id, chunk, received, stored, filtered,
            quarantined, duplicates, receipt_received, receipt_counts, fault_rows, fault_stages, fault_errors,
            fault_raws)
        select c.run, c.ordinal, c.output, c.dataset_id, case when c.mode is null and c.rows > 0 then c.id end,
            c.received, c.rows, coalesce(c.filtered, 0), coalesce(c.quarantined, 0), coalesce(c.duplicates, 0),
            c.receipt_received, c.receipt_counts, c.fault_rows, c.fault_stages, c.fault_errors, c.fault_raws
        from landing.chunk c join millrace.rebuild_part p on p.run = c.run and p.ordinal = c.ordinal
        where c.id = any($1) and (p.outputs is null or c.output = any(p.outputs))
        on conflict (run, ordinal, output) do update set dataset_id = excluded.dataset_id, chunk = excluded.chunk,
            received = excluded.received, stored = excluded.stored, filtered = excluded.filtered,
            quarantined = excluded.quarantined, duplicates = excluded.duplicates,
            receipt_received = excluded.receipt_received, receipt_counts = excluded.receipt_counts,
            fault_rows = excluded.fault_rows, fault_stages = excluded.fault_stages,
            fault_errors = excluded.fault_errors, fault_raws = excluded.fault_raws
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }
}

/// Adds records that the table refused to those that are to be quarantined.
struct AddPartFaults: PostgresStatement {
    static let sql = """
        update millrace.rebuild_output set fault_rows = fault_rows || $4::int4[],
            fault_stages = fault_stages || array_fill('store'::text, array[cardinality($4::int4[])]),
            fault_errors = fault_errors || $5::jsonb[], fault_raws = fault_raws || $6::bytea[]
        where run = $1 and ordinal = $2 and output = $3
        """
    var chunk: ChunkHead
    var records: [RefusedRecord]

    var parameters: [PostgresValue] {
        [
            .int8(chunk.runPlace?.run ?? 0), .int4(chunk.runPlace?.ordinal ?? 0), .int2(chunk.output),
            .int4Array(records.map(\.row)), .jsonArray(records.map(\.errors)), .byteaArray(records.map(\.raw)),
        ]
    }
}

/// As `FindReceiptCounts`, of what waits to be counted.
struct FindPartReceiptCounts: PostgresStatement {
    static let sql = """
        select c.place, b.receipt_ends, coalesce(o.receipt_counts, '{}')
        from unnest($1::int8[], $2::int4[], $3::int2[]) with ordinality as c (run, ordinal, output, place)
        join millrace.rebuild_output o on o.run = c.run and o.ordinal = c.ordinal and o.output = c.output
        join millrace.rebuild_part p on p.run = c.run and p.ordinal = c.ordinal
        join millrace.batch b on b.id = p.batch_id
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { chunks.runOutputParameters }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptCounts.Found {
        try ReceiptCounts.Found(row)
    }
}

/// As `CountLost`, of what waits to be counted.
struct CountLostOfParts: PostgresStatement {
    static let sql = """
        update millrace.rebuild_output o set stored = o.stored - c.rows, quarantined = o.quarantined + c.quarantined,
            duplicates = o.duplicates + c.duplicates, filtered = o.filtered + c.filtered,
            receipt_counts = coalesce(c.receipt_counts::int4[], o.receipt_counts)
        from unnest($1::int8[], $2::int4[], $3::int2[], $4::int4[], $5::int4[], $6::int4[], $7::int4[],
                $8::text[])
            as c (run, ordinal, output, rows, quarantined, duplicates, filtered, receipt_counts)
        where o.run = c.run and o.ordinal = c.ordinal and o.output = c.output
        """
    var updates: [LostRows.Update]

    var parameters: [PostgresValue] {
        updates.map(\.chunk).runOutputParameters + [
            .int4Array(updates.map(\.rows)), .int4Array(updates.map(\.quarantined)),
            .int4Array(updates.map(\.duplicates)), .int4Array(updates.map(\.filtered)),
            .textArray(
                updates.map { update in
                    update.receiptCounts.map { "{" + $0.map(String.init).joined(separator: ",") + "}" }
                }),
        ]
    }
}

/// Writes into the runs' batches what was counted of their outputs.
struct CountRunParts: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set stored = p.stored, filtered = p.filtered, quarantined = p.quarantined,
            duplicates = p.duplicates
        from (
            select o.run, o.ordinal, sum(o.stored) as stored, sum(o.filtered) as filtered,
                sum(o.quarantined) as quarantined, sum(o.duplicates) as duplicates
            from (select distinct * from unnest($1::int8[], $2::int4[]) as c (run, ordinal)) c
            join millrace.rebuild_output o on o.run = c.run and o.ordinal = c.ordinal
            group by o.run, o.ordinal
        ) p
        where b.run = p.run and b.ordinal = p.ordinal
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.runs), .int4Array(chunks.ordinals)] }
}

/// What is rebuilding a dataset: one of those that a run fills anew.
struct Rebuild: Sendable {
    var run: Int64
    var datasetID: Int64
    var mode: LoadMode
    /// The tables are there.
    var isMade: Bool
    var isGoingOn: Bool
    /// How many datasets the run fills.
    var targets: Int32

    static let columns = """
        x.run, x.dataset_id, x.mode, x.made,
        r.state in ('queued', 'running') and millrace.is_going_on(r.state, r.deadline), x.targets
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
        targets = try row.int4(5)
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

struct MarkShadowMade: PostgresStatement {
    static let sql = "update millrace.rebuild set made = true where run = $1 and dataset_id = $2"
    var run: Int64
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(run), .int8(datasetID)] }
}

/// Ends the rebuild of a dataset: what is filled beside its table does not have its rows any more. What else the run
/// fills does not take its place either.
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

/// Holds the rebuilds that have a batch among their parts: their tables do not change places until the transaction
/// ends. Gives false where some are about to.
struct HoldRebuilds: PostgresStatement {
    static let sql = """
        with about as materialized (
            select x.dataset_id from millrace.rebuild x
            where exists (select from millrace.rebuild_part p where p.run = x.run and p.batch_id = $1)
        ), held as materialized (
            select x.dataset_id from millrace.rebuild x where x.dataset_id in (select dataset_id from about)
            order by x.dataset_id for update of x skip locked
        )
        select (select count(*) from held) = (select count(*) from about)
        """
    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Ends the rebuilds that have a batch among their parts: they have read what is no more.
struct EndRebuildsOfBatch: PostgresStatement {
    static let sql = """
        delete from millrace.rebuild x
        where exists (select from millrace.rebuild_part p where p.run = x.run and p.batch_id = $1)
        """
    var batch: Int64

    var parameters: [PostgresValue] { [.int8(batch)] }
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
    /// Runs, ordinals and outputs.
    fileprivate var runOutputParameters: [PostgresValue] {
        [.int8Array(runs), .int4Array(ordinals), .int2Array(map(\.output))]
    }
}
