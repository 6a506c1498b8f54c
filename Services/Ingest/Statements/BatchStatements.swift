import Postgres

/// One batch as `/v1/batches` shows it. Times are µs since 2000-01-01 UTC.
struct BatchSummary: Sendable {
    var id: Int64
    var source: String
    var format: String
    var state: String
    var records: Int32
    var rawBytes: Int64
    var storedBytes: Int32
    var receipts: Int32
    var uploadID: Int64?
    var receivedAt: Int64
    var hasRaw: Bool

    /// The columns that `init(_:)` reads, over `millrace.batch b` and `millrace.source s`.
    static let columns = """
        b.id, s.name, b.format, coalesce((
            select case when bool_or(a.state = 'failed') then 'failed'
                when bool_or(a.state = 'accepted') then 'accepted'
                when bool_or(a.state = 'transformed') then 'transformed' else 'stored' end
            from millrace.application a where a.batch_id = b.id), 'accepted') as state,
        b.records, b.raw_bytes, b.stored_bytes, cardinality(b.receipt_ends), b.upload_id, b.received_at,
        exists (select 1 from landing.payload l where l.batch_id = b.id)
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        source = try row.text(1)
        format = try row.text(2)
        state = try row.text(3)
        records = try row.int4(4)
        rawBytes = try row.int8(5)
        storedBytes = try row.int4(6)
        receipts = try row.int4(7)
        uploadID = try row.optionalInt8(8)
        receivedAt = try row.timestamp(9)
        hasRaw = try row.bool(10)
    }
}

/// A page of a workspace's batches, newest first.
struct ListBatches: PostgresStatement {
    static let sql = """
        select * from (
            select \(BatchSummary.columns)
            from millrace.batch b
            join millrace.source s on s.id = b.source_id
            left join millrace.upload u on u.id = b.upload_id
            where s.workspace_id = $1 and ($2::text is null or s.name = $2) and b.id < $4
                and (u.id is null or u.state = 'accepted') and ($6::text[] is null or s.name like any ($6))
            order by b.id desc
        ) page where $3::text is null or state = $3 limit $5
        """
    var workspaceID: Int64
    var source: String?
    var state: String?
    var before: Int64
    var limit: Int32
    /// Of sources with names like these; nil for all.
    var names: [String]?

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), source.map { .text($0) } ?? .null, state.map { .text($0) } ?? .null, .int8(before),
            .int4(limit), .optional(names) { .textArray($0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> BatchSummary { try BatchSummary(row) }
}

/// One batch of a workspace.
struct FindBatch: PostgresStatement {
    static let sql = """
        select \(BatchSummary.columns)
        from millrace.batch b
        join millrace.source s on s.id = b.source_id
        left join millrace.upload u on u.id = b.upload_id
        where s.workspace_id = $1 and b.id = $2 and (u.id is null or u.state = 'accepted')
        """
    var workspaceID: Int64
    var id: Int64

    var parameters: [PostgresValue] { [.int8(workspaceID), .int8(id)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> BatchSummary { try BatchSummary(row) }
}

/// A batch's encoded frame.
struct FindPayload: PostgresStatement {
    static let sql = "select body from landing.payload where batch_id = $1"
    var batchID: Int64

    var parameters: [PostgresValue] { [.int8(batchID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> [UInt8] { try row.bytes(0) }
}
