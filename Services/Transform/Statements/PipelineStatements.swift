import Postgres

/// A pipeline as `/v1/pipelines` shows it. Times are µs since 2000-01-01 UTC.
struct StoredPipeline: Sendable {
    var id: Int64
    var workspaceID: Int64
    var name: String
    var sourceID: Int64
    /// The source's name, or that of the dataset that is read.
    var source: String
    var readsDataset: Bool
    var version: Int32
    var implicit: Bool
    var definition: [UInt8]
    var fingerprint: [UInt8]
    var createdAt: Int64
    var updatedAt: Int64

    static let columns = """
        p.id, p.name, p.source_id, s.name, p.version, p.implicit, v.definition, v.fingerprint, p.created_at,
        p.updated_at, p.workspace_id, s.kind = 'dataset'
        """
    /// A source that was deleted keeps its implicit pipeline, for what was under way; nobody else sees that.
    static let tables = """
        millrace.pipeline p
        join millrace.source s on s.id = p.source_id and (s.deleted_at is null or s.kind = 'dataset')
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        """

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        sourceID = try row.int8(2)
        source = try row.text(3)
        version = try row.int4(4)
        implicit = try row.bool(5)
        definition = try row.json(6)
        fingerprint = try row.bytes(7)
        createdAt = try row.timestamp(8)
        updatedAt = try row.timestamp(9)
        workspaceID = try row.int8(10)
        readsDataset = try row.bool(11)
    }
}

/// An active pipeline by name; one that somebody put is preferred to a source's implicit one.
struct FindPipeline: PostgresStatement {
    static let sql = """
        select \(StoredPipeline.columns) from \(StoredPipeline.tables)
        where p.workspace_id = $1 and p.name = $2 and p.active order by p.implicit limit 1
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipeline { try StoredPipeline(row) }
}

/// The same, locked until the transaction ends; implicit ones left out.
struct LockPipeline: PostgresStatement {
    static let sql = """
        select \(StoredPipeline.columns) from \(StoredPipeline.tables)
        where p.workspace_id = $1 and p.name = $2 and p.active and not p.implicit for no key update of p
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipeline { try StoredPipeline(row) }
}

/// A page of a workspace's active pipelines, by name.
struct ListPipelines: PostgresStatement {
    static let sql = """
        select \(StoredPipeline.columns) from \(StoredPipeline.tables)
        where p.workspace_id = $1 and p.active and (p.name, p.id) > ($2, $3)
            and ($5::text[] is null or p.name like any ($5))
        order by p.name, p.id limit $4
        """
    var workspaceID: Int64
    var after: (name: String, id: Int64)
    var limit: Int32
    /// Of names like these; nil for all.
    var names: [String]?

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .text(after.name), .int8(after.id), .int4(limit),
            .optional(names) { .textArray($0) },
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipeline { try StoredPipeline(row) }
}

/// Makes a pipeline with version 1.
struct InsertPipeline: PostgresStatement {
    static let sql = """
        with pipeline as (
            insert into millrace.pipeline (workspace_id, name, source_id, version) values ($1, $2, $3, 1) returning id
        )
        insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
        select id, 1, $4::json, $5 from pipeline
        """
    var workspaceID: Int64
    var name: String
    var sourceID: Int64
    var definition: [UInt8]
    var fingerprint: [UInt8]

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .text(name), .int8(sourceID), .text(String(decoding: definition, as: UTF8.self)),
            .bytes(fingerprint),
        ]
    }
}

/// Gives a locked pipeline its next version.
struct ReplacePipeline: PostgresStatement {
    static let sql = """
        with pipeline as (
            update millrace.pipeline set version = version + 1, source_id = $2, updated_at = now() where id = $1
            returning id, version
        )
        insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
        select id, version, $3::json, $4 from pipeline
        """
    var id: Int64
    var sourceID: Int64
    var definition: [UInt8]
    var fingerprint: [UInt8]

    var parameters: [PostgresValue] {
        [
            .int8(id), .int8(sourceID), .text(String(decoding: definition, as: UTF8.self)), .bytes(fingerprint),
        ]
    }
}

/// Takes a pipeline out of service. Its versions stay in the ledger.
struct RetirePipeline: PostgresStatement {
    static let sql = "update millrace.pipeline set active = false, updated_at = now() where id = $1"
    var id: Int64

    var parameters: [PostgresValue] { [.int8(id)] }
}

/// A source's implicit pipeline is active exactly while no other one reads the source.
struct SettleImplicitPipelines: PostgresStatement {
    static let sql = """
        update millrace.pipeline p set active = not exists (
            select 1 from millrace.pipeline o where o.source_id = p.source_id and o.active and not o.implicit)
        where p.implicit and p.source_id = any($1)
        """
    var sourceIDs: [Int64]

    var parameters: [PostgresValue] { [.int8Array(sourceIDs)] }
}

/// A pipeline's versions, newest first.
struct ListPipelineVersions: PostgresStatement {
    static let sql = """
        select version, definition, created_at from millrace.pipeline_version
        where pipeline_id = $1 and version < $2 order by version desc limit $3
        """
    var pipelineID: Int64
    var before: Int32
    var limit: Int32

    var parameters: [PostgresValue] { [.int8(pipelineID), .int4(before), .int4(limit)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> StoredPipelineVersion {
        StoredPipelineVersion(version: try row.int4(0), definition: try row.json(1), createdAt: try row.timestamp(2))
    }
}

/// One version of a pipeline. The time is in µs since 2000-01-01 UTC.
struct StoredPipelineVersion: Sendable {
    var version: Int32
    var definition: [UInt8]
    var createdAt: Int64
}

/// The database's time, in µs since 2000-01-01 UTC.
struct ReadClock: PostgresStatement {
    static let sql = "select now()"

    static func decode(_ row: PostgresRow) throws(PostgresError) -> Int64 { try row.timestamp(0) }
}
