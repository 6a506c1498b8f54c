public import Postgres

/// A source as the services need it: who owns it and what was declared of it.
public struct Source: Sendable, Hashable {
    public let id: Int64
    public let workspaceID: Int64
    public let name: String
    /// The settings as PUT, JSON text; `{}` where a source was made by its first record.
    public let settings: [UInt8]

    public init(id: Int64, workspaceID: Int64, name: String, settings: [UInt8]) {
        self.id = id
        self.workspaceID = workspaceID
        self.name = name
        self.settings = settings
    }
}

/// Finds a source by name; not one that was deleted.
public struct FindSource: PostgresStatement {
    public static let sql = """
        select id, workspace_id, name, settings from millrace.source
        where workspace_id = $1 and name = $2 and deleted_at is null
        """
    let workspaceID: Int64
    let name: String

    public init(workspaceID: Int64, name: String) {
        self.workspaceID = workspaceID
        self.name = name
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Source {
        Source(
            id: try row.int8(0), workspaceID: try row.int8(1), name: try row.text(2), settings: try row.json(3))
    }
}

/// The same; and it cannot be deleted before the transaction has ended.
public struct HoldSource: PostgresStatement {
    public static let sql = FindSource.sql + " for key share"
    let find: FindSource

    public init(workspaceID: Int64, name: String) {
        find = FindSource(workspaceID: workspaceID, name: name)
    }

    public var parameters: [PostgresValue] { find.parameters }

    public static func decode(_ row: PostgresRow) throws(PostgresError) -> Source { try FindSource.decode(row) }
}

/// Makes a source, with its implicit pipeline into a dataset of the same name, unless it is there. One statement, so
/// that of two first records that meet the second finds what the first made.
public struct EnsureSource: PostgresStatement {
    public static let sql = """
        with source as (
            insert into millrace.source (workspace_id, name) values ($1, $2)
            on conflict (workspace_id, name) where deleted_at is null do nothing
            returning id, workspace_id, name
        ), pipeline as (
            insert into millrace.pipeline (workspace_id, name, source_id, version, implicit)
            select workspace_id, name, id, 1, true from source
            returning id, name
        )
        insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
        select id, 1, d.definition, sha256(convert_to(d.definition::text, 'UTF8'))
        from pipeline, lateral (
            select json_build_object('source', name, 'steps', '[]'::json,
                'target', json_build_object('dataset', name, 'mode', 'append'), 'on_error', 'quarantine')
        ) as d (definition)
        """
    let workspaceID: Int64
    let name: String

    public init(workspaceID: Int64, name: String) {
        self.workspaceID = workspaceID
        self.name = name
    }

    public var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }
}
