import Postgres

/// What is remembered of a key.
struct IdempotencyRecord: Sendable, Equatable {
    /// SHA-256 of the first request's decoded body and type; nil while an upload of it runs.
    var fingerprint: [UInt8]?
    var receipt: String?
    var uploadID: Int64?
    /// Whether the upload that holds the key still moves: it landed a batch within the last minute.
    var uploadAlive: Bool
}

/// Looks a key up.
struct FindIdempotencyKey: PostgresStatement {
    static let sql = """
        select i.fingerprint, i.receipt, i.upload_id,
            coalesce(u.state = 'receiving' and u.touched_at > now() - interval '60 seconds', false)
        from millrace.idempotency i left join millrace.upload u on u.id = i.upload_id
        where i.source_id = $1 and i.key = $2
        """
    var sourceID: Int64
    var key: String

    var parameters: [PostgresValue] { [.int8(sourceID), .text(key)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> IdempotencyRecord {
        IdempotencyRecord(
            fingerprint: try row.optionalBytes(0), receipt: try row.optionalText(1),
            uploadID: try row.optionalInt8(2), uploadAlive: try row.bool(3))
    }
}

/// Takes the keys of one group commit that nobody holds, and answers those, with the id of the batch to come.
struct ClaimIdempotencyKeys: PostgresStatement {
    static let sql = """
        with id as (select nextval('millrace.batch_id') as batch_id),
        taken as (
            insert into millrace.idempotency (source_id, key, fingerprint)
            select $1, k.key, k.fingerprint from unnest($2::text[], $3::bytea[]) as k (key, fingerprint)
            on conflict (source_id, key) do nothing
            returning key
        )
        select id.batch_id, array(select key from taken) from id
        """
    var sourceID: Int64
    var keys: [String]
    var fingerprints: [[UInt8]]

    var parameters: [PostgresValue] { [.int8(sourceID), .textArray(keys), .byteaArray(fingerprints)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (batchID: Int64, taken: [String]) {
        (try row.int8(0), try row.textArray(1).compactMap { $0 })
    }
}

/// Writes the receipts of taken keys.
struct RememberReceipts: PostgresStatement {
    static let sql = """
        update millrace.idempotency i set receipt = k.receipt
        from unnest($2::text[], $3::text[]) as k (key, receipt)
        where i.source_id = $1 and i.key = k.key
        """
    var sourceID: Int64
    var keys: [String]
    var receipts: [String]

    var parameters: [PostgresValue] { [.int8(sourceID), .textArray(keys), .textArray(receipts)] }
}
