import HTTP
import Postgres

/// Rows in the order of their batches. A comparison of rows, by which a cursor's place is found, has no use for the
/// index on `_batch`; bounds of the batch beside it have.
extension RowsQuery {
    /// Whether batches are the first thing that rows are ordered by.
    var isByBatch: Bool { order.first.map { $0.column.name == "_batch" } ?? true }

    private var isDescending: Bool { order.first?.isDescending ?? false }

    /// The search for the page's rows. `last`: about the last batch there is. Throws `invalid_cursor`.
    func batchSearch(last: Int64) throws(Problem) -> BatchSearch {
        var low: Int64?
        if let text = after?.first {
            guard let batch = text.flatMap({ Int64($0) }) else {
                throw Problem(.invalidCursor, "the cursor is not one that this list gave")
            }
            low = position(batch)
        }
        return BatchSearch(from: low, start: isDescending ? position(last) : 0, rows: limit + 1)
    }

    /// Counts the rows of a window, as far as `most`.
    func count(schema: String, table: String, in window: BatchSearch.Window, most: Int) -> PostgresQuery {
        var parameters: [PostgresValue] = []
        let conditions = batches(window, &parameters)
        var sql = "select count(*) from (select from \(PostgresQuery.quoted(identifier: schema))"
        sql += ".\(PostgresQuery.quoted(identifier: table)) as t"
        if !conditions.isEmpty { sql += " where " + conditions.joined(separator: " and ") }
        parameters.append(.int8(Int64(most)))
        return PostgresQuery(unsafeText: sql + " limit $\(parameters.count)) c", parameters)
    }

    /// The conditions of a window.
    func batches(_ window: BatchSearch.Window, _ parameters: inout [PostgresValue]) -> [String] {
        var conditions: [String] = []
        if let low = window.low {
            parameters.append(.int8(position(low)))
            conditions.append("t._batch \(isDescending ? "<=" : ">=") $\(parameters.count)")
        }
        if let high = window.high {
            parameters.append(.int8(position(high)))
            conditions.append("t._batch \(isDescending ? ">" : "<") $\(parameters.count)")
        }
        return conditions
    }

    /// A batch's place in the order, and the batch of a place. No number is without a complement.
    private func position(_ batch: Int64) -> Int64 { isDescending ? ~batch : batch }
}
