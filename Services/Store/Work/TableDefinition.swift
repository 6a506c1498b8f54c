import Postgres
import Records

/// A dataset's table as SQL. Every name is quoted; names of indexes hold a dot, which no dataset's name does, so that
/// they collide with no table.
enum TableDefinition {
    /// The columns of every table beside those of its dataset.
    static let lineage = CopyBinaryEncoder.lineageColumns
    static let extra = "_extra"
    /// Not of a table: in chunks whose rows are upserted it says which of them delete.
    static let deleted = "_deleted"

    static func create(_ shape: DatasetShape, columns: [CatalogColumn]) -> [PostgresQuery] {
        var parts = columns.map(column)
        parts += ["_extra jsonb", "_batch int8 not null", "_row int4 not null", "_out int4 not null"]
        if !shape.primaryKey.isEmpty {
            let key = shape.primaryKey.map(PostgresQuery.quoted(identifier:)).joined(separator: ", ")
            parts.append("constraint \(PostgresQuery.quoted(identifier: shape.name + ".key")) primary key (\(key))")
        }
        let column = shape.partitioning.map { PostgresQuery.quoted(identifier: $0.column) }
        let partitioned = column.map { " partition by range (\($0))" } ?? ""
        return [
            """
            create table \(identifier: shape.schema, shape.name) (\(unsafeText: parts.joined(separator: ", ")))
            \(unsafeText: partitioned)
            """,
            """
            create index \(identifier: shape.name + ".batch") on \(identifier: shape.schema, shape.name)
            using brin (_batch) with (pages_per_range = 32, autosummarize = on)
            """,
        ]
    }

    /// Lets the workspace read the table.
    static func grant(_ shape: DatasetShape) -> PostgresQuery {
        "grant select on \(identifier: shape.schema, shape.name) to \(identifier: shape.queryRole)"
    }

    /// The table of deleted keys, with the rank of what deleted them and the time when it was loaded.
    static func createDeletions(_ shape: DatasetShape, version: String?) -> [PostgresQuery] {
        let kept = shape.primaryKey + (version.map { [$0] } ?? []) + lineage
        let key = shape.primaryKey.map(PostgresQuery.quoted(identifier:)).joined(separator: ", ")
        let name = DatasetTable.deletedName(shape.name)
        return [
            """
            create table \(identifier: shape.schema, name) as
            select \(identifiers: kept) from \(identifier: shape.schema, shape.name) with no data
            """,
            """
            alter table \(identifier: shape.schema, name) add column _at timestamptz not null default now(),
            add constraint \(identifier: name + ".key") primary key (\(unsafeText: key))
            """,
            """
            create index \(identifier: name + ".at") on \(identifier: shape.schema, name) using brin (_at)
            with (pages_per_range = 32, autosummarize = on)
            """,
        ]
    }

    /// Gives a table another name, and its indexes with it.
    static func rename(_ shape: DatasetShape, to name: String) -> [PostgresQuery] {
        var statements: [PostgresQuery] = [
            "alter table \(identifier: shape.schema, shape.name) rename to \(identifier: name)",
            """
            alter index \(identifier: shape.schema, shape.name + ".batch") rename to \(identifier: name + ".batch")
            """,
        ]
        if !shape.primaryKey.isEmpty {
            statements.append(
                """
                alter table \(identifier: shape.schema, name)
                rename constraint \(identifier: shape.name + ".key") to \(identifier: name + ".key")
                """)
        }
        return statements
    }

    /// One statement for all columns: the table is locked once.
    static func add(_ columns: [CatalogColumn], to shape: DatasetShape) -> PostgresQuery {
        let parts = columns.map { "add column " + column($0) }
        return "alter table \(identifier: shape.schema, shape.name) \(unsafeText: parts.joined(separator: ", "))"
    }

    /// Text is compared by bytes (collation "C"), as everywhere in the platform, unless declared otherwise.
    private static func column(_ column: CatalogColumn) -> String {
        var text = "\(PostgresQuery.quoted(identifier: column.name)) \(column.type.rawValue)"
        if column.type == .text { text += " collate \(PostgresQuery.quoted(identifier: column.collation ?? "C"))" }
        return column.isNullable ? text : text + " not null"
    }
}
