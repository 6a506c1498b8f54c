import Postgres

/// How far a source lags: the age of its oldest record that is not yet stored, in µs; no row where all is stored.
///
/// Rows are compared, and both columns are sorted by, so that only the index of what is unfinished will do: walking the
/// ledger by batch looks cheap to the planner, and is not.
struct SourceLag: PostgresStatement {
    static let sql = """
        select coalesce((extract(epoch from now() - b.received_at) * 1000000)::int8, 0)
        from (select batch_id from millrace.application
            where (source_id, batch_id) >= ($1, 0) and (source_id, batch_id) < ($1 + 1, 0)
                and state in ('accepted', 'transformed')
            order by source_id, batch_id limit 1) a
        join millrace.batch b on b.id = a.batch_id
        """
    var sourceID: Int64

    var parameters: [PostgresValue] { [.int8(sourceID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// The raw bytes of a source's batches that are not stored yet. Adds up over all of them.
struct SourceBacklog: PostgresStatement {
    static let sql = """
        select coalesce(sum(b.raw_bytes), 0)::int8
        from (select distinct batch_id from millrace.application
            where source_id = $1 and state in ('accepted', 'transformed')) a
        join millrace.batch b on b.id = a.batch_id
        """
    var sourceID: Int64

    var parameters: [PostgresValue] { [.int8(sourceID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// The bytes that landing takes on disk, partitions, indexes and TOAST included.
struct LandingSize: PostgresStatement {
    static let sql = """
        select coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::int8
        from pg_inherits i join pg_class c on c.oid = i.inhparent
        where c.relnamespace = 'landing'::regnamespace and c.relkind = 'p'
        """

    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}
