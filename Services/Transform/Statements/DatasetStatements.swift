import Postgres
import Records

/// Finds a dataset by name, or makes it as an inferred one.
struct EnsureDataset: PostgresStatement {
    static let sql = """
        with made as (
            insert into millrace.dataset (workspace_id, name) values ($1, $2)
            on conflict (workspace_id, name) do nothing
            returning id, definition, declared
        )
        select id, definition, declared from made
        union all
        select id, definition, declared from millrace.dataset where workspace_id = $1 and name = $2
        limit 1
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DatasetHead {
        DatasetHead(id: try row.int8(0), definition: try row.json(1), declared: try row.bool(2))
    }
}

/// Finds a dataset by name. No row: it is not there.
struct FindDatasetHead: PostgresStatement {
    static let sql = "select id, definition, declared from millrace.dataset where workspace_id = $1 and name = $2"
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DatasetHead {
        try EnsureDataset.decode(row)
    }
}

/// A dataset as a pipeline's target needs it; locked until the transaction ends.
struct HoldDataset: PostgresStatement {
    static let sql = """
        select coalesce(jsonb_array_length(definition->'primary_key') > 0, false) from millrace.dataset
        where workspace_id = $1 and name = $2 for no key update
        """
    var workspaceID: Int64
    var name: String

    var parameters: [PostgresValue] { [.int8(workspaceID), .text(name)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> HeldDataset {
        HeldDataset(hasPrimaryKey: try row.bool(0))
    }
}

struct HeldDataset: Sendable {
    var hasPrimaryKey: Bool
}

/// A pipeline that fills a dataset in a mode that another one's does not go together with.
struct OtherMode: Sendable {
    var name: String
    var mode: String

    /// Why the other one cannot fill its target.
    func description(for target: PipelineDefinition.Target) -> String {
        """
        the pipeline \(name) fills the dataset \(target.dataset) with mode \(mode), which does not go together with \
        \(target.mode.rawValue)
        """
    }
}

/// A pipeline whose mode does not go together with that of another one for the same dataset: upsert and ignore with
/// themselves only, replace with none. The implicit pipeline of the other's own source leaves when that is put.
struct FindOtherModes: PostgresStatement {
    static let sql = """
        select p.name, t.mode
        from millrace.pipeline p
        join millrace.pipeline_version v on v.pipeline_id = p.id and v.version = p.version
        cross join millrace.targets(v.definition) t
        where p.workspace_id = $1 and p.active and t.dataset = $2
            and case when p.implicit then p.source_id <> $4 else p.name <> $3 end
            and ('replace' in (t.mode, $5)
                or t.mode <> $5 and (t.mode in ('upsert', 'ignore') or $5 in ('upsert', 'ignore')))
        order by p.name limit 1
        """
    var workspaceID: Int64
    var target: PipelineDefinition.Target
    /// The other one, and what it reads.
    var pipeline: String
    var sourceID: Int64

    var parameters: [PostgresValue] {
        [
            .int8(workspaceID), .text(target.dataset), .text(pipeline), .int8(sourceID),
            .text(target.mode.rawValue),
        ]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> OtherMode {
        OtherMode(name: try row.text(0), mode: try row.text(1))
    }
}

struct DatasetHead: Sendable {
    var id: Int64
    var definition: [UInt8]
    var declared: Bool
}

/// A column that all agree on.
struct AgreedColumn: Sendable, Equatable {
    enum State: String, Sendable {
        case agreed, applied
        /// The table could not be given the column: its values go to `_extra`.
        case extra
    }

    var name: String
    var type: ColumnType
    var nullable: Bool
    var state: State
    /// It was put with the dataset's definition; others were inferred.
    var declared = false
}

/// What has been agreed on so far. Locks nothing, so that nobody waits here while a table is changed.
struct ListAgreedColumns: PostgresStatement {
    static let sql = """
        select name, type, nullable, state, declared from millrace.dataset_column where dataset_id = $1
        order by ordinal
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> AgreedColumn { try AgreedColumn(row) }
}

extension AgreedColumn {
    /// A column that there is not.
    init(extra wanted: (name: String, type: ColumnType)) {
        self.init(name: wanted.name, type: wanted.type, nullable: true, state: .extra)
    }
}

/// Agrees on columns: `millrace.agree_columns` in a transaction of its own.
struct AgreeColumns: PostgresStatement {
    /// The most columns that inference adds to a dataset.
    static let inferredLimit: Int32 = 200

    static let sql = "select name, type, nullable, state, declared from millrace.agree_columns($1, $2, $3, $4)"
    var datasetID: Int64
    /// Columns wanted.
    var names: [String]
    var types: [String]

    var parameters: [PostgresValue] {
        [.int8(datasetID), .textArray(names), .textArray(types), .int4(Self.inferredLimit)]
    }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> AgreedColumn { try AgreedColumn(row) }
}

extension AgreedColumn {
    fileprivate init(_ row: PostgresRow) throws(PostgresError) {
        guard let type = ColumnType(rawValue: try row.text(1)), let state = State(rawValue: try row.text(3)) else {
            throw PostgresError(.decode, "a column's type or state is not known here", doing: "agree on columns")
        }
        self.init(
            name: try row.text(0), type: type, nullable: try row.bool(2), state: state, declared: try row.bool(4))
    }
}
