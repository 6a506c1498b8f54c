import JSON
import Postgres
import Records

/// A dataset as its table is made from it.
struct DatasetShape: Sendable {
    var id: Int64
    var schema: String
    var name: String
    var queryRole: String
    var hasTable: Bool
    /// The names in the definition's `primary_key`.
    var primaryKey: [String]
    var versionColumn: String?
    /// There is a table of deleted keys.
    var keepsDeletions: Bool
    /// There is a table that is to take the place of this one.
    var hasShadow: Bool
    /// Nil where the table is one piece.
    var partitioning: TimePartitioning?
}

/// A column of the catalog.
struct CatalogColumn: Sendable, Equatable {
    enum State: String, Sendable {
        case agreed, applied, extra
    }

    var name: String
    var type: ColumnType
    var isNullable: Bool
    var collation: String?
    var isDeclared: Bool
    var state: State
}

/// A dataset as it is in this moment. No row: it was removed.
struct FindDatasetShape: PostgresStatement {
    static let sql = """
        select d.id, w.schema_name, d.name, w.query_role, d.table_created,
            array(select jsonb_array_elements_text(coalesce(d.definition->'primary_key', '[]'))),
            d.definition->>'version_column',
            exists (select from millrace.dataset_deletions k where k.dataset_id = d.id),
            exists (select from millrace.rebuild r where r.dataset_id = d.id and r.made), d.definition
        from millrace.dataset d join millrace.workspace w on w.id = d.workspace_id
        where d.id = $1
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DatasetShape {
        DatasetShape(
            id: try row.int8(0), schema: try row.text(1), name: try row.text(2), queryRole: try row.text(3),
            hasTable: try row.bool(4), primaryKey: try row.textArray(5),
            versionColumn: try row.optionalText(6), keepsDeletions: try row.bool(7),
            hasShadow: try row.bool(8),
            partitioning: (try? JSONValue.parse(try row.json(9))).flatMap(TimePartitioning.init))
    }
}

/// The same, locked against agreements and other changes of its table.
struct LockDatasetShape: PostgresStatement {
    static let sql = FindDatasetShape.sql + " for no key update of d"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> DatasetShape { try FindDatasetShape.decode(row) }
}

/// The columns of a dataset in their order.
struct ListColumns: PostgresStatement {
    static let sql = """
        select name, type, nullable, "collation", declared, state from millrace.dataset_column
        where dataset_id = $1 order by ordinal
        """
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> CatalogColumn {
        guard let type = ColumnType(rawValue: try row.text(1)),
            let state = CatalogColumn.State(rawValue: try row.text(5))
        else { throw PostgresError(.decode, "a column's type or state is not known here", doing: "read columns") }
        return CatalogColumn(
            name: try row.text(0), type: type, isNullable: try row.bool(2), collation: try row.optionalText(3),
            isDeclared: try row.bool(4), state: state)
    }
}

/// Moves a dataset's columns from `agreed` to another state.
struct SetColumnStates: PostgresStatement {
    static let sql = """
        update millrace.dataset_column set state = $3 where dataset_id = $1 and name = any($2) and state = 'agreed'
        """
    var datasetID: Int64
    var names: [String]
    var state: CatalogColumn.State

    var parameters: [PostgresValue] { [.int8(datasetID), .textArray(names), .text(state.rawValue)] }
}

struct MarkTableCreated: PostgresStatement {
    static let sql = "update millrace.dataset set table_created = true where id = $1"
    var datasetID: Int64

    var parameters: [PostgresValue] { [.int8(datasetID)] }
}

/// Notes the time of a load, at most once a second; never waits for another load that does the same.
struct TouchDataset: PostgresStatement {
    static let sql = """
        with ended as (
            delete from millrace.rebuild where dataset_id = $1 and $2
        )
        update millrace.dataset set last_load_at = clock_timestamp()
        where id = (select d.id from millrace.dataset d
            where d.id = $1 and coalesce(d.last_load_at < clock_timestamp() - interval '1 second', true)
            for no key update skip locked)
        """
    var datasetID: Int64
    /// The rows went into the dataset's table only: what is filled beside it lacks them.
    var endsRebuild: Bool

    var parameters: [PostgresValue] { [.int8(datasetID), .bool(endsRebuild)] }
}
