import Postgres

/// How far a source lags: the age of its oldest record that is not yet stored, in µs; 0 where all is stored.
struct SourceLag: PostgresStatement {
    static let sql = """
        select coalesce((extract(epoch from now() - b.received_at) * 1000000)::int8, 0)
        from (select batch_id from millrace.application
            where source_id = $1 and state in ('accepted', 'transformed') order by batch_id limit 1) a
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
