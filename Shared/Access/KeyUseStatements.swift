import Postgres

/// Adds what this process has seen of keys' quotas to today's use; gives what all processes have seen, and how many
/// seconds are left of the day. No row for a key that is there no more. Days older than two are forgotten.
struct AddKeyUse: PostgresStatement {
    static let sql = """
        with old as (
            delete from millrace.key_use where day < (now() at time zone 'UTC')::date - 2
        )
        insert into millrace.key_use as u (key_id, day, requests, bytes)
        select k.id, (now() at time zone 'UTC')::date, n.requests, n.bytes
        from unnest($1::int8[], $2::int8[], $3::int8[]) as n (id, requests, bytes)
        join millrace.api_key k on k.id = n.id
        order by k.id
        on conflict (key_id, day) do update
        set requests = u.requests + excluded.requests, bytes = u.bytes + excluded.bytes
        returning u.key_id, u.requests, u.bytes, \(DayUse.secondsLeft)
        """
    let uses: [(key: Int64, use: KeyUse)]

    var parameters: [PostgresValue] {
        [
            .int8Array(uses.map(\.key)), .int8Array(uses.map { Int64($0.use.requests) }),
            .int8Array(uses.map { Int64($0.use.bytes) }),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (key: Int64, day: DayUse) {
        (try row.int8(0), try DayUse(row, at: 1))
    }
}

/// Notes that a key is in use.
struct TouchKey: PostgresStatement {
    static let sql = """
        update millrace.api_key set last_used_at = now()
        where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 hour')
        """
    let id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

extension DayUse {
    static let secondsLeft = """
        extract(epoch from ((now() at time zone 'UTC')::date + 1)::timestamp - (now() at time zone 'UTC'))::float8
        """

    /// Requests, octets and the seconds that are left, from a column on.
    init(_ row: PostgresRow, at column: Int) throws(PostgresError) {
        self.init(
            KeyUse(requests: Int(try row.int8(column)), bytes: Int(try row.int8(column + 1))),
            left: .seconds(try row.float8(column + 2)))
    }
}
