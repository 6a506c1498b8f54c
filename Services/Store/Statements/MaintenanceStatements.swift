import Postgres

/// Renews or wins the leadership, makes partitions ahead, and tells what there is to sweep. Durations in seconds.
struct LeadLanding: PostgresStatement {
    struct Row: Sendable {
        var isLeader: Bool
        /// Until the leadership that was found ends, in seconds.
        var remaining: Double
        var partitions: Int32
        var hasStalled: Bool
        var hasAbandoned: Bool
        var hasOldKeys: Bool
    }

    static let sql = """
        select is_leader, remaining, coalesce(partitions, 0), coalesce(stalled, false), coalesce(abandoned, false),
            coalesce(old_keys, false)
        from landing.lead($1, $2, $3, $4)
        """
    var holder: String
    var term: Double
    var patience: Double
    var retention: Double

    var parameters: [PostgresValue] { [.text(holder), .float8(term), .float8(patience), .float8(retention)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(
            isLeader: try row.bool(0), remaining: try row.float8(1), partitions: try row.int4(2),
            hasStalled: try row.bool(3), hasAbandoned: try row.bool(4), hasOldKeys: try row.bool(5))
    }
}

struct ResignLanding: PostgresStatement {
    static let sql = "update queue.leader set until = '-infinity' where name = 'landing' and holder = $1"
    var holder: String

    var parameters: [PostgresValue] { [.text(holder)] }
}

/// Gives up uploads that stand still: their keys are free again.
struct AbandonStalledUploads: PostgresStatement {
    static let sql = """
        with stalled as (
            update millrace.upload set state = 'abandoned' where id = any(array(
                select id from millrace.upload
                where state = 'receiving' and touched_at < now() - make_interval(secs => $1)
                limit 1000 for update skip locked))
            returning id
        )
        delete from millrace.idempotency i using stalled s where i.upload_id = s.id and i.receipt is null
        """
    /// In seconds.
    var patience: Double

    var parameters: [PostgresValue] { [.float8(patience)] }
}

/// Deletes up to `limit` batches of abandoned uploads with their raw bytes. Gives how many there were.
struct SweepAbandonedBatches: PostgresStatement {
    static let sql = """
        with swept as (
            select b.id from millrace.upload u join millrace.batch b on b.upload_id = u.id
            where u.state = 'abandoned' and u.touched_at < now() - interval '1 minute' limit $1
        ), payload as (
            delete from landing.payload where batch_id = any(array(select id from swept))
        ), batch as (
            delete from millrace.batch where id = any(array(select id from swept)) returning id
        )
        select count(*) from batch
        """
    var limit: Int32

    var parameters: [PostgresValue] { [.int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.int8(0) }
}

/// Deletes abandoned uploads that have no batches left.
struct SweepAbandonedUploads: PostgresStatement {
    static let sql = """
        delete from millrace.upload u where u.state = 'abandoned' and u.touched_at < now() - interval '1 minute'
            and not exists (select 1 from millrace.batch b where b.upload_id = u.id)
        """
}

/// Forgets up to `limit` idempotency keys that are older than the retention, in seconds.
struct SweepOldKeys: PostgresStatement {
    static let sql = """
        delete from millrace.idempotency where ctid = any(array(
            select ctid from millrace.idempotency where created_at < now() - make_interval(secs => $1)
            order by created_at limit $2))
        """
    var retention: Double
    var limit: Int32

    var parameters: [PostgresValue] { [.float8(retention), .int4(limit)] }
}

/// Forgets up to `limit` streams that nobody has used for longer than the retention, in seconds.
struct SweepOldStreams: PostgresStatement {
    static let sql = """
        delete from millrace.ingest_stream where ctid = any(array(
            select ctid from millrace.ingest_stream where touched_at < now() - make_interval(secs => $1)
            limit $2 for update skip locked))
        """
    var retention: Double
    var limit: Int32

    var parameters: [PostgresValue] { [.float8(retention), .int4(limit)] }
}

/// The table of a dataset's deleted keys.
struct DeletionTable: Sendable {
    var schema: String
    var name: String

    /// Forgets up to `limit` keys that were deleted longer ago than this, in seconds. Those that are written at the
    /// moment are left.
    func forget(after retention: Double, limit: Int32) -> PostgresQuery {
        """
        delete from \(identifier: schema, name) where ctid = any(array(
            select ctid from \(identifier: schema, name)
            where _at < now() - make_interval(secs => \(.float8(retention))) limit \(.int4(limit))
            for update skip locked))
        """
    }
}

struct ListDeletionTables: PostgresStatement {
    static let sql = """
        select w.schema_name, d.name from millrace.dataset_deletions k
        join millrace.dataset d on d.id = k.dataset_id join millrace.workspace w on w.id = d.workspace_id
        """
    var parameters: [PostgresValue] { [] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DeletionTable {
        DeletionTable(schema: try row.text(0), name: DatasetTable.deletedName(try row.text(1)))
    }
}
