import Postgres

/// A session's key by the session's hash, if both may be used now. What ends the key ends its sessions.
struct FindSession: PostgresStatement {
    static let sql = """
        select k.id, s.hash, k.scopes, w.id, w.name,
            extract(epoch from least(s.expires_at, k.expires_at) - now())::float8, \(FindKey.usedColumns)
        from millrace.session s
        join millrace.api_key k on k.id = s.key_id
        left join millrace.key_use u on u.key_id = k.id and u.day = (now() at time zone 'UTC')::date
        join millrace.workspace w on w.id = k.workspace_id
        where s.hash = $1 and s.expires_at > now()
            and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and w.deleted_at is null
        """

    let hash: KeyHash

    var parameters: [PostgresValue] { [.bytes(hash.bytes)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ValidKey { try FindKey.decode(row) }
}

/// Makes a session of a key, until its lifetime or the key's is over; returns when that is, in µs since 2000-01-01 UTC.
/// No row where the key may not be used any more. The key's oldest sessions beyond `maximum` end, and some of those
/// that have expired are removed, whoever's they were.
struct InsertSession: PostgresStatement {
    static let sql = """
        with expired as (
            delete from millrace.session where hash in (
                select hash from millrace.session where expires_at < now()
                order by expires_at limit 100 for update skip locked)
        ), surplus as (
            delete from millrace.session where hash in (
                select hash from millrace.session where key_id = $2 and expires_at >= now()
                order by created_at desc offset $4 for update skip locked)
        )
        insert into millrace.session (hash, key_id, expires_at)
        select $1, k.id, least(now() + $3::interval, k.expires_at) from millrace.api_key k
        where k.id = $2 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        returning expires_at
        """
    /// Sessions of one key at a time.
    static let maximum = 100

    let hash: KeyHash
    let keyID: Int64
    let lifetime: Duration

    var parameters: [PostgresValue] {
        [.bytes(hash.bytes), .int8(keyID), .interval(lifetime), .int(Self.maximum - 1)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.timestamp(0) }
}

/// Ends a session.
struct DeleteSession: PostgresStatement {
    static let sql = "delete from millrace.session where hash = $1"
    let hash: KeyHash

    var parameters: [PostgresValue] { [.bytes(hash.bytes)] }
}

/// When a session or a key ends, in µs since 2000-01-01 UTC: the session where there is a hash. A row, of null, for a
/// key that does not.
struct FindExpiry: PostgresStatement {
    static let sql = """
        select least(s.expires_at, k.expires_at) from millrace.api_key k
        left join millrace.session s on s.key_id = k.id and s.hash = $2 where k.id = $1
        """
    let keyID: Int64
    let session: KeyHash?

    var parameters: [PostgresValue] { [.int8(keyID), .optional(session) { .bytes($0.bytes) }] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64? { try row.optionalTimestamp(0) }
}
