public import Records

/// What a batch's rows need of another dataset: the rows with these keys.
public struct LookupRequest: Sendable {
    /// A column that is compared, and the values that it is to have, none of them NULL.
    struct Key: Sendable {
        var name: String
        var type: ColumnType
        var values: Column

        init(_ name: String, _ type: ColumnType, _ values: Column) {
            self.name = name
            self.type = type
            self.values = values
        }
    }

    struct Wanted: Sendable {
        var name: String
        var type: ColumnType
    }

    let dataset: String
    /// Not empty; each with ``count`` values: the different keys.
    let keys: [Key]
    /// The columns that are joined.
    let columns: [Wanted]
    /// How many keys there are.
    let count: Int
    /// Of each row of the batch its key; -1 where that has a NULL.
    let places: [Int32]
    /// 1 for each row with a value that is not of the key's type; empty if there is none.
    let failed: [UInt8]
    let faults: [RowFault]
}

/// What was found for a request.
public struct LookupAnswer: Sendable {
    let request: LookupRequest
    /// The request's columns: a value for each row that was found, and a NULL at the end.
    let columns: [Column]
    /// Of each key its row; ``missing`` where there is none.
    let rows: [Int32]
    /// The place of the NULLs.
    let missing: Int

    /// - Parameters:
    ///   - found: the keys that were found, each once.
    ///   - columns: as the request wants them, with a value for each of these.
    init(to request: LookupRequest, found: [Int32], columns: [Column]) {
        self.request = request
        missing = found.count
        var rows = [Int32](repeating: Int32(found.count), count: request.count)
        for (row, key) in found.enumerated() { rows[Int(key)] = Int32(row) }
        self.rows = rows
        self.columns = zip(request.columns, columns).map { wanted, column in
            var column = column
            let isJoined = column.append(.nulls(wanted.type, count: 1))
            precondition(isJoined, "a column that was looked up has the type that was asked for")
            return column
        }
    }

    /// Nothing was found.
    init(to request: LookupRequest) {
        self.init(to: request, found: [], columns: request.columns.map { .nulls($0.type, count: 0) })
    }
}

/// The columns of datasets that lookups name, with their types.
public struct LookupSchema: Sendable, Hashable {
    /// By the dataset's name; a dataset that is missing here does not exist.
    public var datasets: [String: [String: ColumnType]]

    public init(_ datasets: [String: [String: ColumnType]] = [:]) {
        self.datasets = datasets
    }
}
