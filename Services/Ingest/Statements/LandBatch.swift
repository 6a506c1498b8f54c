import Postgres

/// Lands one batch: the ledger's row, its payload, an application for each active pipeline of its source, and their
/// jobs. One statement, hence one transaction where it is sent alone.
struct LandBatch: PostgresStatement {
    static let sql = """
        with batch as (
            \(insertion) values (\(values)) returning id, source_id, records
        ), \(consequences)
        """
    static let insertion = """
        insert into millrace.batch
            (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends, request_ids, trace)
        """
    static let values = """
        coalesce($1::int8, nextval('millrace.batch_id')), $2::int8, $3::text, $4::int4, $5::int8,
            octet_length($9::bytea), $6::int4[], $7::text[], $8::text
        """
    /// What follows from a row of `batch`.
    static let consequences = """
        payload as (
            insert into landing.payload (batch_id, body) select id, $9 from batch
        ), applications as (
            insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
            select b.id, p.id, 0, b.source_id, 'accepted', b.records
            from batch b join millrace.pipeline p on p.source_id = b.source_id and p.active
            returning batch_id, pipeline_id
        ), jobs as (
            select queue.enqueue('transform', 'transform', s.workspace_id,
                array_agg(jsonb_build_object('batch', a.batch_id, 'pipeline', a.pipeline_id)),
                in_trace => $8::text) as id
            from applications a join millrace.source s on s.id = $2
            group by s.workspace_id
        )
        select b.id, (select count(*) from jobs) from batch b
        """
    /// Nil takes the sequence's next value.
    var id: Int64?
    var sourceID: Int64
    var format: String
    var records: Int32
    var rawBytes: Int64
    /// First record past each request.
    var receiptEnds: [Int32]
    var requestIDs: [String]
    /// A W3C traceparent; the jobs carry it on.
    var trace: String?
    /// The encoded frame.
    var body: [UInt8]

    var parameters: [PostgresValue] {
        [
            id.map { .int8($0) } ?? .null, .int8(sourceID), .text(format), .int4(records), .int8(rawBytes),
            .int4Array(receiptEnds), .textArray(requestIDs), trace.map { .text($0) } ?? .null, .bytes(body),
        ]
    }

    /// The batch's id.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
