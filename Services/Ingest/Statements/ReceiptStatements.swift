import Postgres

/// One output of one pipeline over one batch, as a receipt needs it.
struct ReceiptPart: Sendable, Equatable {
    var pipeline: String
    var version: Int32?
    var output: Int16
    var dataset: String?
    var state: String
    var error: String?
    var received: Int64
    var filtered: Int64
    var quarantined: Int64
    var duplicates: Int64
    var storedAt: Int64?
}

/// What came in under a receipt. Times are µs since 2000-01-01 UTC.
struct ReceiptHead: Sendable, Equatable {
    var source: String
    var workspaceID: Int64
    var received: Int64
    var receivedAt: Int64
    /// Batches that the request lies in.
    var batches: Int64
}

/// The head of a coalesced receipt: its range of the batch's records.
struct FindCoalescedReceipt: PostgresStatement {
    static let sql = """
        select s.name, s.workspace_id,
            (b.receipt_ends[$2 + 1] - coalesce(b.receipt_ends[$2], 0))::int8, b.received_at, 1::int8
        from millrace.batch b join millrace.source s on s.id = b.source_id
        where b.id = $1 and b.upload_id is null and $2 < cardinality(b.receipt_ends)
        """
    var batchID: Int64
    var ordinal: Int32

    var parameters: [PostgresValue] { [.int8(batchID), .int4(ordinal)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptHead {
        ReceiptHead(
            source: try row.text(0), workspaceID: try row.int8(1), received: try row.int8(2),
            receivedAt: try row.timestamp(3), batches: try row.int8(4))
    }
}

/// The head of an accepted upload's receipt.
struct FindUploadReceipt: PostgresStatement {
    static let sql = """
        select s.name, s.workspace_id, coalesce(sum(b.records), 0)::int8, u.received_at, count(b.id)
        from millrace.upload u
        join millrace.source s on s.id = u.source_id
        left join millrace.batch b on b.upload_id = u.id
        where u.id = $1 and u.state = 'accepted'
        group by u.id, s.id
        """
    var uploadID: Int64

    var parameters: [PostgresValue] { [.int8(uploadID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptHead {
        ReceiptHead(
            source: try row.text(0), workspaceID: try row.int8(1), received: try row.int8(2),
            receivedAt: try row.timestamp(3), batches: try row.int8(4))
    }
}

/// The outputs of a coalesced receipt, with the counts of its own records.
struct ListCoalescedOutputs: PostgresStatement {
    static let sql = """
        select p.name, a.version, a.output, d.name, a.state, a.error,
            coalesce(a.receipt_received[$2 + 1], b.receipt_ends[$2 + 1] - coalesce(b.receipt_ends[$2], 0))::int8,
            coalesce(a.receipt_counts[3 * $2 + 1], a.filtered)::int8,
            coalesce(a.receipt_counts[3 * $2 + 2], a.quarantined)::int8,
            coalesce(a.receipt_counts[3 * $2 + 3], a.duplicates)::int8, a.stored_at
        from millrace.batch b
        join millrace.application a on a.batch_id = b.id
        join millrace.pipeline p on p.id = a.pipeline_id
        left join millrace.dataset d on d.id = a.dataset_id
        where b.id = $1
        order by p.name, a.output
        """
    var batchID: Int64
    var ordinal: Int32

    var parameters: [PostgresValue] { [.int8(batchID), .int4(ordinal)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptPart { try ReceiptPart(row) }
}

/// The outputs of an upload's receipt, summed over its batches; the state is the least advanced one.
struct ListUploadOutputs: PostgresStatement {
    static let sql = """
        select p.name, max(a.version), a.output, max(d.name),
            case when bool_or(a.state = 'failed') then 'failed'
                when bool_or(a.state = 'accepted') then 'accepted'
                when bool_or(a.state = 'transformed') then 'transformed'
                else 'stored' end,
            max(a.error), sum(a.received)::int8, sum(a.filtered)::int8, sum(a.quarantined)::int8,
            sum(a.duplicates)::int8, max(a.stored_at)
        from millrace.batch b
        join millrace.application a on a.batch_id = b.id
        join millrace.pipeline p on p.id = a.pipeline_id
        left join millrace.dataset d on d.id = a.dataset_id
        where b.upload_id = $1
        group by p.id, a.output
        order by p.name, a.output
        """
    var uploadID: Int64

    var parameters: [PostgresValue] { [.int8(uploadID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ReceiptPart { try ReceiptPart(row) }
}

extension ReceiptPart {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        self.init(
            pipeline: try row.text(0), version: try row.optionalInt4(1), output: try row.int2(2),
            dataset: try row.optionalText(3), state: try row.text(4), error: try row.optionalText(5),
            received: try row.int8(6), filtered: try row.int8(7), quarantined: try row.int8(8),
            duplicates: try row.int8(9), storedAt: try row.optionalTimestamp(10))
    }
}

/// Which of these batches have left the states `accepted` and `transformed` in all their outputs.
struct FinishedBatches: PostgresStatement {
    static let sql = """
        select b.id from unnest($1::int8[]) as b (id)
        where not exists (select 1 from millrace.application a
            where a.batch_id = b.id and a.state in ('accepted', 'transformed'))
        """
    var batches: [Int64]

    var parameters: [PostgresValue] { [.int8Array(batches)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Which of these uploads have left the states `accepted` and `transformed` in all outputs of all batches.
struct FinishedUploads: PostgresStatement {
    static let sql = """
        select u.id from unnest($1::int8[]) as u (id)
        where not exists (select 1 from millrace.batch b join millrace.application a on a.batch_id = b.id
            where b.upload_id = u.id and a.state in ('accepted', 'transformed'))
        """
    var uploads: [Int64]

    var parameters: [PostgresValue] { [.int8Array(uploads)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
