import Records

/// Values of a field that the dataset's column of its name cannot hold, all of one type.
///
/// Each value goes by its own type, so that where it ends up does not depend on what else is in its batch; a number
/// that a float8 column cannot hold is a numeric.
struct Misfits {
    let field: String
    let type: ColumnType
    /// Rows, ascending.
    let rows: [Int]
    /// As long as the batch; NULL but for these rows.
    let values: Column

    /// The column that they go to, named after both.
    var column: String { "\(field)__\(type.rawValue)" }

    /// The values of these rows, which a column of a type cannot hold, by their own types, in the order in which those
    /// first occur.
    static func sorted(_ named: NamedColumn, _ rows: [Int], missing known: ColumnType) -> [Misfits] {
        var groups: [(type: ColumnType, rows: [Int])] = []
        for row in rows {
            guard let type = ColumnInference.type(of: named.column, row: row, missing: known) else { continue }
            if let place = groups.firstIndex(where: { $0.type == type }) {
                groups[place].rows.append(row)
            } else {
                groups.append((type, [row]))
            }
        }
        return groups.map {
            Misfits(field: named.name, type: $0.type, rows: $0.rows, values: named.column.keeping($0.rows))
        }
    }

    /// Puts the values into their column, which may have values in other rows already; gives the rows of those that
    /// find no place there.
    func settle(in column: inout Column?, of known: AgreedColumn, _ ordinals: [Int32]) -> [Int] {
        let cast = values.fit(to: known.type, isDeclared: known.declared, rows: ordinals, name: known.name)
        guard var both = column else {
            column = cast.column
            return cast.failed
        }
        let count = both.count
        let taken = rows.filter(both.isPresent)
        let places = (0..<count).map { both.isPresent($0) ? $0 : count + $0 }
        guard both.append(cast.column) else { return rows }
        column = both.gathered(places)
        let lost = Set(cast.failed).union(taken)
        return rows.filter(lost.contains)
    }
}

extension Column {
    /// The values of these rows; all others are NULL.
    func keeping(_ rows: [Int]) -> Column {
        var kept = self
        var mask = [UInt8](repeating: 0, count: count)
        for row in rows { mask[row] = validity[row] }
        if case .variant(var values) = storage {
            for row in 0..<count where mask[row] == 0 { values.kinds[row] = VariantKind.missing.rawValue }
            kept.storage = .variant(values)
        }
        kept.validity = mask
        return kept
    }
}
