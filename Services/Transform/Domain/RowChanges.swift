import JSON

/// What would become of a dataset's rows.
struct RowChanges: Sendable, Equatable {
    var dataset: String
    var added: Int64
    var removed: Int64
    /// Rows of the same record, or with the same primary key, that have other values.
    var changed: Int64
    /// Of the changed rows, how many have another value in a column.
    var columns: [String: Int64] = [:]

    /// Adds counts of columns, as an object.
    mutating func add(columns counts: [UInt8]) {
        for member in (try? JSONValue.parse(counts))?.object?.members ?? [] {
            columns[member.key, default: 0] += Int64(member.value.int ?? 0)
        }
    }

    var json: JSONValue {
        let columns = columns.sorted { $0.key < $1.key }.map { ($0.key, JSONValue.number($0.value)) }
        return [
            "dataset": .string(dataset), "added": .number(added), "removed": .number(removed),
            "changed": .number(changed), "columns": .object(JSONObject(columns)),
        ]
    }
}
