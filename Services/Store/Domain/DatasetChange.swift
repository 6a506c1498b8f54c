import JSON
import Records

/// What a new definition asks of a dataset's columns, and what of it a table with rows forbids. A value: nothing is
/// done here.
struct DatasetChange: Sendable, Equatable {
    /// PostgreSQL's limit, less what tables have beside their columns, here and where rows are merged.
    static let columnLimit = 1_600 - 10

    struct NullabilityChange: Sendable, Equatable {
        var name: String
        var isNullable: Bool
    }

    /// Columns that the catalog does not have.
    var added: [DatasetDefinition.DeclaredColumn] = []
    /// Columns that are there; their declaration is written over what the catalog says.
    var redeclared: [DatasetDefinition.DeclaredColumn] = []
    /// Columns that are not declared any more: they stay, as inferred ones.
    var undeclared: [String] = []
    /// Of columns that the table has.
    var nullability: [NullabilityChange] = []
    /// What cannot be done to a table that has rows.
    var forbidden: [FieldFault] = []
    /// What cannot be done to any.
    var impossible: [FieldFault] = []

    /// - Parameters:
    ///   - columns: what the catalog has.
    ///   - primaryKey: what the table has.
    ///   - partitioning: the same.
    init(
        to definition: DatasetDefinition, from columns: [CatalogColumn], primaryKey: [String],
        partitioning: TimePartitioning? = nil
    ) {
        let known = Dictionary(columns.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (place, wanted) in definition.columns.enumerated() {
            if let old = known[wanted.name], !ColumnName.isSame(old.name, wanted.name) {
                let message = "is another spelling of the name of a column that is there, in Unicode's terms"
                impossible.append(FieldFault(path: "columns[\(place)].name", message: message))
                continue
            }
            guard let old = known[wanted.name] else {
                added.append(wanted)
                if !wanted.isNullable { forbid("columns[\(place)].nullable", "rows that are stored have no value") }
                continue
            }
            redeclared.append(wanted)
            guard old.state == .applied else { continue }
            if old.type != wanted.type {
                forbid("columns[\(place)].type", "is \(old.type.rawValue) and has values")
            } else if old.type == .text, old.collation ?? "C" != wanted.collation ?? "C" {
                forbid("columns[\(place)].collation", "is \(old.collation ?? "C") and has values")
            }
            if old.isNullable != wanted.isNullable {
                nullability.append(.init(name: wanted.name, isNullable: wanted.isNullable))
            }
        }
        let dropped = columns.filter { $0.isDeclared && definition.column($0.name) == nil }
        undeclared = dropped.map(\.name)
        // An inferred column asks for nothing.
        nullability += dropped.filter { $0.state == .applied && !$0.isNullable }.map {
            .init(name: $0.name, isNullable: true)
        }
        let gone = dropped.count { $0.state != .applied }
        let count = columns.count - gone + added.count
        if count > Self.columnLimit {
            let message = "with those that are there already it would be \(count), and \(Self.columnLimit) is the most"
            impossible.append(FieldFault(path: "columns", message: message))
        }
        if primaryKey != definition.primaryKey { forbid("primary_key", "cannot be changed while there are rows") }
        if partitioning?.grain != definition.partition.grain {
            forbid("partition", "cannot be changed while there are rows")
        } else if let partitioning, partitioning.column != definition.timeColumn {
            forbid("time_column", "rows are partitioned by \(partitioning.column)")
        }
    }

    private mutating func forbid(_ path: String, _ message: String) {
        forbidden.append(FieldFault(path: path, message: message))
    }
}
