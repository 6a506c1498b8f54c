import Postgres

/// A source as `/v1/sources` shows it. Times are µs since 2000-01-01 UTC.
struct StoredSource: Sendable {
    var id: Int64
    var name: String
    /// As PUT; `{}` where a source was made by its first record.
    var settings: [UInt8]
    var isDeclared: Bool
    /// 0 until something is put.
    var version: Int32
    var createdAt: Int64
    var updatedAt: Int64

    static let columns = "id, name, settings, declared, version, created_at, updated_at"

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        settings = try row.json(2)
        isDeclared = try row.bool(3)
        version = try row.int4(4)
        createdAt = try row.timestamp(5)
        updatedAt = try row.timestamp(6)
    }
}

struct FindStoredSource: PostgresStatement {
    static let sql = """
        select \(StoredSource.columns) from millrace.source
        where workspace_id = $1 and name = $2 and deleted_at is null
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSource { try StoredSource(row) }
}

/// The same, locked until the transaction ends against other changes.
struct LockSource: PostgresStatement {
    static let sql = FindStoredSource.sql + " for no key update"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSource { try StoredSource(row) }
}

/// The same; and nobody makes a pipeline for it or lands records in it meanwhile.
struct SealSource: PostgresStatement {
    static let sql = FindStoredSource.sql + " for update"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSource { try StoredSource(row) }
}

/// A page of a workspace's sources, by name.
struct ListSources: PostgresStatement {
    static let sql = """
        select \(StoredSource.columns) from millrace.source
        where workspace_id = $1 and name > $2 and deleted_at is null and ($4::text[] is null or name like any ($4))
        order by name limit $3
        """
    var workspaceID: Int64
    var after: String
    var limit: Int32
    /// Of names like these; nil for all.
    var names: [String]?

    var parameters: [PostgresValue] {
        [.int8(workspaceID), .text(after), .int4(limit), .optional(names) { .textArray($0) }]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSource { try StoredSource(row) }
}

/// Gives a locked source its settings.
struct ReplaceSource: PostgresStatement {
    static let sql = """
        update millrace.source set settings = $2, declared = true, version = version + 1, updated_at = now()
        where id = $1 returning \(StoredSource.columns)
        """
    var id: Int64
    var settings: [UInt8]

    var parameters: [PostgresValue] { [.int8(id), .json(settings)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredSource { try StoredSource(row) }
}

/// What keeps a source from being deleted.
struct FindSourceUse: PostgresStatement {
    static let sql = """
        select array(select p.name from millrace.pipeline p
                where p.source_id = $1 and p.active and not p.implicit order by p.name limit 20),
            exists (select from millrace.application a
                where a.source_id = $1 and a.state in ('accepted', 'transformed')),
            exists (select from millrace.upload u where u.source_id = $1 and u.state = 'receiving')
        """
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }

    static func decode(
        _ row: PostgresRow
    ) throws(PostgresError) -> (readers: [String], isUnfinished: Bool, isReceiving: Bool) {
        (try row.textArray(0), try row.bool(1), try row.bool(2))
    }
}

/// Deletes a locked source: its name is free. The row stays for the ledger, and its implicit pipeline for records that
/// another process, which does not know yet, takes in within the next seconds.
struct DeleteSource: PostgresStatement {
    static let sql = "update millrace.source set deleted_at = now(), updated_at = now() where id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// What landed of a source lately.
struct SourceRate: PostgresStatement {
    /// How far back it looks, in seconds, and over how many batches at most.
    static let span = 60.0
    static let batches: Int32 = 10_000

    static let sql = "select records, bytes, seconds from millrace.source_rate($1, $2, $3)"
    var sourceID: Int64

    var parameters: [PostgresValue] { [.int8(sourceID), .float8(Self.span), .int4(Self.batches)] }

    /// A second's.
    static func decode(_ row: PostgresRow) throws(PostgresError) -> (records: Double, bytes: Double) {
        let seconds = try row.float8(2)
        return (Double(try row.int8(0)) / seconds, Double(try row.int8(1)) / seconds)
    }
}

/// Rows a second that a source's records have become in the last minute.
///
/// Of as many of its newest batches as its rate looks at. Rows are compared and both columns are sorted by for the same
/// index as `millrace.source_rate` goes by.
struct StoredRate: PostgresStatement {
    static let sql = """
        select (coalesce(sum(a.stored), 0) / $2)::float8
        from (select b.id from millrace.batch b
            where (b.source_id, b.id) >= ($1, 0) and (b.source_id, b.id) < ($1 + 1, 0)
            order by b.source_id desc, b.id desc limit $3) newest
        join millrace.application a on a.batch_id = newest.id
        where a.stored_at > now() - make_interval(secs => $2)
        """
    var sourceID: Int64

    var parameters: [PostgresValue] {
        [.int8(sourceID), .float8(SourceRate.span), .int4(SourceRate.batches)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Double { try row.float8(0) }
}

/// How old the oldest record of each source is that is not stored yet, in seconds; nil where all is stored. Those that
/// wait longest first.
struct ListFreshness: PostgresStatement {
    struct Row: Sendable {
        var workspace: String
        var source: String
        var age: Double?
    }

    /// Sources with something unfinished that are looked at: one descent of an index each. The others cost nothing,
    /// however many there are.
    static let scanned = 10_000

    static let sql = """
        with recursive waiting as (
            (select source_id, batch_id from millrace.application where state in ('accepted', 'transformed')
            order by source_id, batch_id limit 1)
            union all
            select n.source_id, n.batch_id from waiting p cross join lateral (
                select a.source_id, a.batch_id from millrace.application a
                where (a.source_id, a.batch_id) >= (p.source_id + 1, 0) and a.state in ('accepted', 'transformed')
                order by a.source_id, a.batch_id limit 1) n
        ), oldest as (
            select s.id, s.workspace_id, s.name, b.received_at
            from (select source_id, batch_id from waiting limit \(scanned)) o
            join millrace.source s on s.id = o.source_id and s.deleted_at is null
            join millrace.batch b on b.id = o.batch_id
            order by b.received_at limit $1
        ), rest as (
            select s.id, s.workspace_id, s.name, null::timestamptz as received_at from millrace.source s
            where s.deleted_at is null and not exists (select from oldest o where o.id = s.id)
            order by s.id limit $1
        )
        select w.name, s.name, extract(epoch from now() - s.received_at)::float8
        from (select * from oldest union all select * from rest) s
        join millrace.workspace w on w.id = s.workspace_id
        order by s.received_at, s.id limit $1
        """
    var limit: Int32

    var parameters: [PostgresValue] { [.int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Row {
        Row(workspace: try row.text(0), source: try row.text(1), age: try row.optionalFloat8(2))
    }
}
