import Postgres

/// What a heal's chunk says beside its rows: which records were tried, and what became of those of one output.
struct HealTry: Sendable {
    var chunkID: Int64
    var batchID: Int64
    var pipelineID: Int64
    /// Ordinals of all records that were tried, in whichever output.
    var rows: [Int32]
    var received: Int32
    var filtered: Int32
    var quarantined: Int32
    var duplicates: Int32
    /// As in `millrace.application`.
    var receiptReceived: [Int32]?
    var receiptCounts: [Int32]?
}

struct FindTries: PostgresStatement {
    static let sql = """
        select id, batch_id, pipeline_id, coalesce(tried, '{}'), coalesce(received, 0), coalesce(filtered, 0),
            coalesce(quarantined, 0), coalesce(duplicates, 0), coalesce(receipt_received, '{}'),
            coalesce(receipt_counts, '{}')
        from landing.chunk where id = any($1)
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> HealTry {
        HealTry(
            chunkID: try row.int8(0), batchID: try row.int8(1), pipelineID: try row.int8(2),
            rows: try row.int4Array(3), received: try row.int4(4), filtered: try row.int4(5),
            quarantined: try row.int4(6), duplicates: try row.int4(7), receiptReceived: try row.filledInt4Array(8),
            receiptCounts: try row.filledInt4Array(9))
    }
}

/// A record that is about to leave the quarantine.
struct LeftRecord: Sendable {
    var place: ChunkHead.Place
    var row: Int32
    /// By the dataset's table.
    var wasRefused: Bool
}

/// Marks the quarantined records that were tried: those that still have the mark at the end are healed. Nobody else
/// sees it.
struct LeaveQuarantine: PostgresStatement {
    static let sql = """
        update landing.quarantine q set at = '-infinity'
        from landing.chunk c cross join unnest(c.tried) as t (row)
        where c.id = any($1) and q.batch_id = c.batch_id and q.pipeline_id = c.pipeline_id and q.row = t.row
        returning q.batch_id, q.pipeline_id, q.output, q.row, q.stage = 'store'
        """
    /// One of each batch.
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { [.int8Array(chunks.map(\.id))] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> LeftRecord {
        LeftRecord(
            place: ChunkHead.Place(batchID: try row.int8(0), pipelineID: try row.int8(1), output: try row.int2(2)),
            row: try row.int4(3), wasRefused: try row.bool(4))
    }
}

/// Takes the records out of quarantine that passed, and notes down which version it was where that is not the one that
/// made the batch.
struct DeleteHealed: PostgresStatement {
    static let sql = """
        with gone as (
            delete from landing.quarantine q
            using unnest($1::int8[], $2::int8[], $3::int4[]) as c (batch_id, pipeline_id, version)
            where q.batch_id = c.batch_id and q.pipeline_id = c.pipeline_id and q.at = '-infinity'
            returning q.batch_id, q.pipeline_id, q.row, c.version
        )
        insert into millrace.healed as h (batch_id, pipeline_id, version, rows)
        select g.batch_id, g.pipeline_id, g.version, array_agg(distinct g.row)
        from gone g
        where g.version > (select min(a.version) from millrace.application a
                where a.batch_id = g.batch_id and a.pipeline_id = g.pipeline_id)
            and not exists (select from landing.quarantine o where o.batch_id = g.batch_id
                and o.pipeline_id = g.pipeline_id and o.row = g.row and o.at > '-infinity')
        group by g.batch_id, g.pipeline_id, g.version
        on conflict (batch_id, pipeline_id, version) do update
            set rows = array(select unnest(h.rows || excluded.rows) order by 1)
        """
    /// One of each batch.
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] { chunks.batchParameters + [.int4Array(chunks.map(\.version))] }
}

/// What the ledger says of all outputs of batches.
struct FindOutputCounts: PostgresStatement {
    static let sql = """
        select a.batch_id, a.pipeline_id, a.output, coalesce(a.version, 0), a.dataset_id, a.run_id, a.received,
            a.stored, a.filtered, a.quarantined, a.duplicates, b.receipt_ends, coalesce(a.receipt_received, '{}'),
            coalesce(a.receipt_counts, '{}'), b.format = 'table'
        from unnest($1::int8[], $2::int8[]) as c (batch_id, pipeline_id)
        join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
        join millrace.batch b on b.id = a.batch_id
        order by a.batch_id, a.pipeline_id, a.output
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] { batches.batchParameters }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> OutputCounts {
        OutputCounts(
            place: ChunkHead.Place(batchID: try row.int8(0), pipelineID: try row.int8(1), output: try row.int2(2)),
            version: try row.int4(3), datasetID: try row.optionalInt8(4), isSlice: try row.bool(14),
            run: try row.optionalInt8(5),
            received: try row.int4(6), stored: try row.int4(7), filtered: try row.int4(8),
            quarantined: try row.int4(9), duplicates: try row.int4(10), ends: try row.int4Array(11),
            receiptReceived: try row.filledInt4Array(12), receiptCounts: try row.filledInt4Array(13))
    }
}

/// Writes an output's counts. Which version made the batch stays.
struct WriteOutputCounts: PostgresStatement {
    static let sql = """
        insert into millrace.application as a (batch_id, pipeline_id, output, source_id, state, version, dataset_id,
            run_id, received, stored, filtered, quarantined, duplicates, receipt_received, receipt_counts,
            transformed_at, stored_at)
        select $1, $2, $3, b.source_id, 'stored', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now(), now()
        from millrace.batch b where b.id = $1
        on conflict (batch_id, pipeline_id, output) do update set dataset_id = excluded.dataset_id,
            run_id = excluded.run_id, received = excluded.received, stored = excluded.stored,
            filtered = excluded.filtered, quarantined = excluded.quarantined,
            duplicates = excluded.duplicates, receipt_received = excluded.receipt_received,
            receipt_counts = excluded.receipt_counts
        """
    var output: OutputCounts

    var parameters: [PostgresValue] {
        [
            .int8(output.place.batchID), .int8(output.place.pipelineID), .int2(output.place.output),
            .int4(output.version), .optional(output.datasetID) { .int8($0) }, .optional(output.run) { .int8($0) },
            .int4(output.received), .int4(output.stored), .int4(output.filtered), .int4(output.quarantined),
            .int4(output.duplicates), .optional(output.receiptReceived) { .int4Array($0) },
            .optional(output.receiptCounts) { .int4Array($0) },
        ]
    }
}

/// Writes the counts without the tried records into the runs' batches, below zero: with those at the end, which
/// ``EndCounting`` adds, they are what became of the tried ones.
struct StartCounting: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set records = c.records, stored = -c.stored, filtered = -c.filtered,
            quarantined = -c.quarantined, duplicates = -c.duplicates
        from unnest($1::int8[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int4[])
            as c (run, ordinal, records, stored, filtered, quarantined, duplicates)
        where b.run = c.run and b.ordinal = c.ordinal
        """
    /// A chunk of each.
    var batches: [ChunkHead]
    var outputs: [OutputCounts]
    var tries: [HealTry]

    var parameters: [PostgresValue] {
        let records = batches.map { batch in tries.first { $0.chunkID == batch.id }.map { Int32($0.rows.count) } ?? 0 }
        return [
            .int8Array(batches.runs), .int4Array(batches.ordinals), .int4Array(records), sums(\.stored),
            sums(\.filtered), sums(\.quarantined), sums(\.duplicates),
        ]
    }

    private func sums(_ count: (OutputCounts) -> Int32) -> PostgresValue {
        .int4Array(
            batches.map { batch in
                outputs.filter { $0.place.batchID == batch.batchID && $0.place.pipelineID == batch.pipelineID }
                    .reduce(0) { $0 + count($1) }
            })
    }
}

/// Adds what the ledger says now to what ``StartCounting`` wrote.
struct EndCounting: PostgresStatement {
    static let sql = """
        update millrace.run_batch b set stored = b.stored + c.stored, filtered = b.filtered + c.filtered,
            quarantined = b.quarantined + c.quarantined, duplicates = b.duplicates + c.duplicates
        from (
            select c.run, c.ordinal, sum(a.stored) as stored, sum(a.filtered) as filtered,
                sum(a.quarantined) as quarantined, sum(a.duplicates) as duplicates
            from unnest($1::int8[], $2::int8[], $3::int8[], $4::int4[]) as c (batch_id, pipeline_id, run, ordinal)
            join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
            group by c.run, c.ordinal
        ) c
        where b.run = c.run and b.ordinal = c.ordinal
        """
    /// A chunk of each.
    var batches: [ChunkHead]

    var parameters: [PostgresValue] {
        batches.batchParameters + [.int8Array(batches.runs), .int4Array(batches.ordinals)]
    }
}

/// Whether a pipeline's rows of a batch were merged into a dataset by its key. No row: they were not.
struct FindMergedOutput: PostgresStatement {
    static let sql = """
        select v.version from millrace.pipeline_version v
        cross join millrace.targets(v.definition) t
        where v.pipeline_id = $2 and t.dataset = $3 and t.mode in ('upsert', 'ignore') and v.version in (
            select a.version from millrace.application a where a.batch_id = $1 and a.pipeline_id = $2
            union all
            select h.version from millrace.healed h where h.batch_id = $1 and h.pipeline_id = $2)
        limit 1
        """
    var chunk: ChunkHead
    var table: String

    var parameters: [PostgresValue] { [.int8(chunk.batchID), .int8(chunk.pipelineID), .text(table)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int32 { try row.int4(0) }
}

extension OutputPlace.Table {
    /// Deletes the rows of records.
    func delete(_ rows: [Int32], of place: ChunkHead.Place) -> PostgresQuery {
        """
        delete from \(identifier: schema, name) t using unnest(\(.int4Array(rows))::int4[]) as r (row)
        where t._batch = \(.int8(place.batchID)) and t._out = \(.int4(Int32(place.output))) and t._row = r.row
        """
    }
}

extension PostgresRow {
    /// Nil for an array without elements.
    fileprivate func filledInt4Array(_ column: Int) throws(PostgresError) -> [Int32]? {
        let array = try int4Array(column)
        return array.isEmpty ? nil : array
    }
}

/// A heal as it is asked for.
struct HealRequest: Sendable {
    var datasetID: Int64
    var dataset: String
    var pipeline: String?
    var batches: [Int64]?
    var codes: [String]?
    /// Of the records with one of the codes only those with just this error, as an object; nil for all of them.
    var reason: [UInt8]?
    /// How many jobs of each run may be under way at a time in each queue.
    var parallel: Int32
    /// What would become of the records is found out, and nothing changes.
    var isDry: Bool
}

/// Makes the runs of a heal, one for each pipeline; the one that is in the way comes as `overlap`.
struct StartHeals: PostgresStatement {
    static let sql = """
        select run, overlap from millrace.start_heals($1, $2, $3, $4,
            jsonb_strip_nulls(jsonb_build_object('dataset', $5::text, 'pipeline', $2::text,
                'batches', (select jsonb_agg(b::text) from unnest($3::int8[]) b), 'codes', to_jsonb($4::text[]),
                'reason', $8::jsonb)),
            $6, $7)
        """
    var request: HealRequest

    var parameters: [PostgresValue] {
        [
            .int8(request.datasetID), .optional(request.pipeline) { .text($0) },
            .optional(request.batches) { .int8Array($0) }, .optional(request.codes) { .textArray($0) },
            .text(request.dataset), .int4(request.parallel), .bool(request.isDry),
            .optional(request.reason) { .json($0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (run: Int64?, overlap: Int64?) {
        (try row.optionalInt8(0), try row.optionalInt8(1))
    }
}

/// A pipeline that there is or was. No row: there never was one.
struct FindPipelineName: PostgresStatement {
    static let sql = "select name from millrace.pipeline where workspace_id = $1 and name = $2 limit 1"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}

/// What became of a heal so far.
struct HealReport: Sendable {
    var hasEnded: Bool
    /// Batches whose records could not be tried: given up.
    var dead: Int64
    /// Records that have left the quarantine.
    var healed: Int64
    /// Records that were turned down again.
    var failing: Int64
}

struct FindHealReport: PostgresStatement {
    static let sql = """
        select coalesce(bool_and(r.state not in ('queued', 'running')), true), coalesce(sum(c.dead), 0)::int8,
            coalesce(sum(c.healed), 0)::int8, coalesce(sum(c.failing), 0)::int8
        from millrace.run r cross join lateral (
            select count(*) filter (where b.state = 'dead') as dead,
                sum(b.records - b.quarantined) filter (where b.state = 'stored') as healed,
                sum(b.quarantined) filter (where b.state = 'stored') as failing
            from millrace.run_batch b where b.run = r.id
        ) c where r.id = any($1)
        """
    var runs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(runs)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> HealReport {
        HealReport(
            hasEnded: try row.bool(0), dead: try row.int8(1), healed: try row.int8(2), failing: try row.int8(3))
    }
}
