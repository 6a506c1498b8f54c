import Postgres

/// Marks the outputs that chunks belong to as stored, all their rows counted. Affects fewer rows than there are chunks
/// when one of them is not waited for any more.
struct MarkStored: PostgresStatement {
    static let sql = """
        update millrace.application a set state = 'stored', stored = c.rows, stored_at = now(), error = null
        from unnest($1::int8[], $2::int8[], $3::int2[], $4::int4[], $5::int4[])
            as c (batch_id, pipeline_id, output, version, rows)
        where a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.output = c.output
            and a.version = c.version and a.state in ('transformed', 'failed')
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] {
        [
            .int8Array(chunks.map(\.batchID)), .int8Array(chunks.map(\.pipelineID)), .int2Array(chunks.map(\.output)),
            .int4Array(chunks.map(\.version)), .int4Array(chunks.map(\.rows)),
        ]
    }
}

/// Sends batches back to transform: their outputs count as not transformed, and jobs are made after a delay, in which
/// what transform remembers of the dataset's schema runs out.
struct TransformAgain: PostgresStatement {
    static let sql = """
        with back as (
            update millrace.application a set state = 'accepted', error = null
            from (select distinct * from unnest($2::int8[], $3::int8[], $4::int4[])
                as c (batch_id, pipeline_id, version)) c
            where a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.version = c.version
                and a.state in ('transformed', 'failed')
            returning a.batch_id, a.pipeline_id
        )
        select queue.enqueue('transform', 'transform', $1,
            array_agg(jsonb_build_object('batch', batch_id, 'pipeline', pipeline_id) order by batch_id),
            in_delay => $5)
        from (select distinct batch_id, pipeline_id from back) back having count(*) > 0
        """
    var workspaceID: Int64
    var chunks: [ChunkHead]
    /// In seconds.
    var delay: Double

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .int8Array(chunks.map(\.batchID)), .int8Array(chunks.map(\.pipelineID)),
            .int4Array(chunks.map(\.version)), .float8(delay),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [Int64] { try row.int8Array(0) }
}

/// Marks a chunk's output as failed for good, with the reason.
struct FailLoading: PostgresStatement {
    static let sql = """
        update millrace.application a set state = 'failed', error = left($2, 2000)
        from landing.chunk c
        where c.id = $1 and a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.output = c.output
            and a.version = c.version and a.state = 'transformed'
        """
    var chunkID: Int64
    var error: String

    var parameters: [PostgresValue] { [.int8(chunkID), .text(error)] }
}

/// The requests of chunks' batches, and what was counted of each so far.
struct FindReceiptCounts: PostgresStatement {
    static let sql = """
        select c.place, b.receipt_ends, coalesce(a.receipt_counts, '{}')
        from unnest($1::int8[], $2::int8[], $3::int2[]) with ordinality as c (batch_id, pipeline_id, output, place)
        join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
            and a.output = c.output
        join millrace.batch b on b.id = a.batch_id
        """
    var chunks: [ChunkHead]

    var parameters: [PostgresValue] {
        [.int8Array(chunks.map(\.batchID)), .int8Array(chunks.map(\.pipelineID)), .int2Array(chunks.map(\.output))]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptCounts.Found {
        try ReceiptCounts.Found(row)
    }
}

/// Takes rows that were lost from what was stored of chunks, and counts their records. The arrays of receipt counts
/// are passed as text, since an array of arrays must be rectangular.
struct CountLost: PostgresStatement {
    static let sql = """
        update millrace.application a set stored = a.stored - c.rows, quarantined = a.quarantined + c.quarantined,
            duplicates = a.duplicates + c.duplicates, filtered = a.filtered + c.filtered,
            receipt_counts = coalesce(c.receipt_counts::int4[], a.receipt_counts)
        from unnest($1::int8[], $2::int8[], $3::int2[], $4::int4[], $5::int4[], $6::int4[],
                $7::int4[], $8::text[])
            as c (batch_id, pipeline_id, output, rows, quarantined, duplicates, filtered, receipt_counts)
        where a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id and a.output = c.output
        """
    var updates: [LostRows.Update]

    var parameters: [PostgresValue] {
        [
            .int8Array(updates.map(\.chunk.batchID)), .int8Array(updates.map(\.chunk.pipelineID)),
            .int2Array(updates.map(\.chunk.output)), .int4Array(updates.map(\.rows)),
            .int4Array(updates.map(\.quarantined)), .int4Array(updates.map(\.duplicates)),
            .int4Array(updates.map(\.filtered)),
            .textArray(
                updates.map { update in
                    update.receiptCounts.map { "{" + $0.map(String.init).joined(separator: ",") + "}" }
                }),
        ]
    }
}
