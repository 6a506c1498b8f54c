import Postgres

/// The id of an upload to come: known before it begins, it can be given up though the answer to its beginning is lost.
struct NextUploadID: PostgresStatement {
    static let sql = "select nextval(pg_get_serial_sequence('millrace.upload', 'id'))"
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Begins an upload; with a key, takes it, or takes it over from an upload that no longer moves.
struct BeginUpload: PostgresStatement {
    static let sql = """
        with upload as (
            insert into millrace.upload (id, source_id, request_id) overriding system value values ($4, $1, $2)
            returning id
        ), claim as (
            insert into millrace.idempotency as i (source_id, key, upload_id)
            select $1, $3::text, id from upload where $3::text is not null
            on conflict (source_id, key) do update set upload_id = excluded.upload_id, created_at = now()
            where i.receipt is null and not exists (
                select 1 from millrace.upload u where u.id = i.upload_id and u.state = 'receiving'
                    and u.touched_at > now() - interval '60 seconds')
            returning upload_id
        )
        select $3::text is null or exists (select 1 from claim) from upload
        """
    var uploadID: Int64
    var sourceID: Int64
    var requestID: String
    var key: String?

    var parameters: [PostgresValue] {
        [.int8(sourceID), .text(requestID), key.map { .text($0) } ?? .null, .int8(uploadID)]
    }

    /// Whether it holds the key.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Bool { try row.bool(0) }
}

/// Lands one batch of an upload, which nobody sees yet.
struct LandUploadBatch: PostgresStatement {
    static let sql = """
        with batch as (
            insert into millrace.batch
                (id, source_id, upload_id, format, records, raw_bytes, stored_bytes, receipt_ends, request_ids, trace)
            select nextval('millrace.batch_id'), u.source_id, u.id, $2, $3, $4, octet_length($6), array[$3],
                array[u.request_id], $5
            from millrace.upload u where u.id = $1 and u.state = 'receiving'
            returning id
        ), payload as (
            insert into landing.payload (batch_id, body) select id, $6 from batch
        ), touched as (
            update millrace.upload set touched_at = now() where id = $1
        )
        select id from batch
        """
    var uploadID: Int64
    var format: String
    var records: Int32
    var rawBytes: Int64
    var trace: String
    var body: [UInt8]

    var parameters: [PostgresValue] {
        [
            .int8(uploadID), .text(format), .int4(records), .int8(rawBytes), .text(trace),
            .bytes(body),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Accepts all batches of an upload together and makes their jobs. No row: the upload was abandoned meanwhile, or
/// its key was taken over, and nothing was done.
struct AcceptUpload: PostgresStatement {
    static let sql = """
        with held as (
            select u.id, u.source_id from millrace.upload u
            where u.id = $1 and u.state = 'receiving' and ($2::text is null or exists (
                select 1 from millrace.idempotency i
                where i.source_id = u.source_id and i.key = $2 and i.upload_id = u.id for update))
            for update
        ), accepted as (
            update millrace.upload u set state = 'accepted', accepted_at = now() from held where u.id = held.id
            returning u.id, u.source_id
        ), remembered as (
            update millrace.idempotency i set receipt = $4, fingerprint = $3, created_at = now()
            from accepted a where i.source_id = a.source_id and i.key = $2
        ), applications as (
            insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
            select b.id, p.id, 0, b.source_id, 'accepted', b.records
            from accepted a
            join millrace.batch b on b.upload_id = a.id
            join millrace.pipeline p on p.source_id = a.source_id and p.active
            returning batch_id, pipeline_id, source_id
        ), jobs as (
            select queue.enqueue('transform', 'transform', s.workspace_id,
                array_agg(jsonb_build_object('batch', a.batch_id, 'pipeline', a.pipeline_id) order by a.batch_id),
                in_trace => $5::text) as id
            from applications a join millrace.source s on s.id = a.source_id
            group by s.workspace_id
        )
        select id, (select count(*) from jobs) from accepted
        """
    var uploadID: Int64
    var key: String?
    var fingerprint: [UInt8]?
    var receipt: String
    /// A W3C traceparent; the jobs carry it on.
    var trace: String

    var parameters: [PostgresValue] {
        [
            .int8(uploadID), key.map { .text($0) } ?? .null, fingerprint.map { .bytes($0) } ?? .null, .text(receipt),
            .text(trace),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Abandons uploads: their batches will be swept, their keys are free again.
struct AbandonUploads: PostgresStatement {
    static let sql = """
        with abandoned as (
            update millrace.upload set state = 'abandoned' where id = any($1) and state = 'receiving' returning id
        )
        delete from millrace.idempotency i using abandoned a where i.upload_id = a.id and i.receipt is null
        """
    var uploads: [Int64]

    var parameters: [PostgresValue] { [.int8Array(uploads)] }
}
