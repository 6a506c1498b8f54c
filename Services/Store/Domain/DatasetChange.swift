import JSON
import Records

/// What a new definition asks of a dataset's columns, and what of it a table with rows forbids. A value: nothing is
/// done here.
struct DatasetChange: Sendable, Equatable {
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

    /// - Parameters:
    ///   - columns: what the catalog has.
    ///   - primaryKey: what the table has.
    init(to definition: DatasetDefinition, from columns: [CatalogColumn], primaryKey: [String]) {
        let known = Dictionary(columns.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for (place, wanted) in definition.columns.enumerated() {
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
        undeclared = columns.filter { $0.isDeclared && definition.column($0.name) == nil }.map(\.name)
        if primaryKey != definition.primaryKey { forbid("primary_key", "cannot be changed while there are rows") }
    }

    private mutating func forbid(_ path: String, _ message: String) {
        forbidden.append(FieldFault(path: path, message: message))
    }
}
