import Expressions
import HTTP
import JSON
import Postgres
import Records

/// A page of a dataset's rows as it was asked for, checked against the dataset's columns.
struct RowsQuery: Sendable {
    struct Order: Sendable, Equatable {
        var column: CatalogColumn
        var isDescending: Bool
    }

    static let limits = 1...10_000
    static let defaultLimit = 100
    static let orderLimit = 8

    /// What is shown, in order.
    var columns: [CatalogColumn]
    var order: [Order]
    var condition: SQLCondition?
    var limit: Int
    /// Values of the order's columns as text, and then those of ``place``.
    var after: [String?]?
    private let datasetID: Int64

    static let lineage: [CatalogColumn] = [
        system("_batch", .int8), system("_row", .int8), system("_out", .int8),
    ]
    static let extra = system("_extra", .jsonb)
    /// What tells rows apart whose order is the same: where they come from, and of several rows that are made of one
    /// record, where they lie.
    static let place = [
        ("_batch", "int8"), ("_row", "int4"), ("_out", "int4"), ("tableoid", "oid"), ("ctid", "tid"),
    ]

    private static func system(_ name: String, _ type: ColumnType) -> CatalogColumn {
        CatalogColumn(name: name, type: type, isNullable: true, collation: nil, isDeclared: false, state: .applied)
    }

    /// Reads the query of a request. Faults are thrown by `query.finish()`, which is called here; besides
    /// `invalid_expression` and `invalid_cursor`.
    init(_ query: QueryFields, of found: DatasetCatalog.Found) throws(Problem) {
        datasetID = found.dataset.id
        let all = found.readable + [Self.extra] + Self.lineage
        let known = Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        columns = all
        if let names = query.list("columns") {
            columns = names.compactMap { known[$0] }
            for name in names where known[name] == nil { query.fault("columns", "there is no column \"\(name)\"") }
            if names.isEmpty { query.fault("columns", "names no column") }
            if Set(names).count < names.count { query.fault("columns", "names a column twice") }
        }
        limit = query.int("limit", in: Self.limits) ?? Self.defaultLimit
        order = Self.order(query, known)
        let text = query.string("where")
        if text?.utf8.contains(0) ?? false { query.fault("where", "must not contain U+0000") }
        let cursor = query.string("cursor")
        _ = query.string("numbers")
        try query.finish()
        if let text { condition = try Self.condition(text, all) }
        if let cursor {
            let values = try Cursor(cursor, of: cursorName, count: order.count + Self.place.count).values
            after = values.map(\.string)
            // Every value is bound to its type; one that its type does not have is found there.
            let isWhole = zip(values, values.indices).allSatisfy { value, place in
                value.string != nil || value == .null && place < order.count
            }
            if !isWhole { throw Problem(.invalidCursor, "the cursor is not one that this list gave") }
        }
    }

    private static func order(_ query: QueryFields, _ known: [String: CatalogColumn]) -> [Order] {
        let items = query.list("order") ?? []
        if items.count > orderLimit { query.fault("order", "at most \(orderLimit) columns") }
        return items.compactMap { item in
            let isDescending = item.hasSuffix(".desc")
            let name = isDescending ? item.dropLast(5) : item.hasSuffix(".asc") ? item.dropLast(4) : item[...]
            guard let column = known[String(name)] else {
                query.fault("order", "there is no column \"\(name)\"")
                return nil
            }
            if column.type == .jsonb { query.fault("order", "jsonb has no order that could be continued") }
            return Order(column: column, isDescending: isDescending)
        }
    }

    private static func condition(_ text: String, _ columns: [CatalogColumn]) throws(Problem) -> SQLCondition {
        do {
            return try SQLCondition(text, schema: ExpressionSchema(columns), purpose: "WHERE")
        } catch {
            throw Problem(
                .invalidExpression, "where: \(error.message)", extensions: [("position", .number(error.position))])
        }
    }

    /// Names the list with its order and its types, so that a cursor serves no other: neither a dataset that was made
    /// anew nor a column that has another type now.
    var cursorName: String {
        "rows:\(datasetID):"
            + order.map { order in
                let column = "\(order.column.name) \(order.column.type.rawValue) \(order.column.collation ?? "")"
                return column + (order.isDescending ? " desc" : "")
            }.joined(separator: ",")
    }

    // MARK: SQL

    /// The statement. Shown columns come first, then those of the order and the lineage as text, for the cursor. One
    /// row more than the limit tells whether there is a next page. `window`: only rows of these batches; `having`: rows
    /// that the page has already.
    func statement(
        schema: String, table: String, in window: BatchSearch.Window? = nil, having count: Int = 0
    ) -> PostgresQuery {
        var parameters: [PostgresValue] = []
        let shown = columns.map { column in
            let name = PostgresQuery.quoted(identifier: column.name)
            return [.numeric, .jsonb].contains(column.type) ? "\(name)::text" : "\(name)"
        }
        let keys =
            order.map { "\(PostgresQuery.quoted(identifier: $0.column.name))::text" }
            + Self.place.map { "t.\($0.0)::text" }
        var conditions: [String] = []
        if let condition {
            conditions.append(condition.text(firstParameter: parameters.count + 1))
            parameters += condition.literals.map { .inferred($0) }
        }
        if let after { conditions.append(following(after[...], order[...], &parameters)) }
        if let window { conditions += batches(window, &parameters) }
        // Qualified, since a bare name would mean the output's column, which may be the text of the value.
        let sorting = order.map {
            "t." + PostgresQuery.quoted(identifier: $0.column.name) + ($0.isDescending ? " desc" : " asc")
        }
        var sql = "select \((shown + keys).joined(separator: ", ")) from \(PostgresQuery.quoted(identifier: schema))"
        sql += ".\(PostgresQuery.quoted(identifier: table)) as t"
        if !conditions.isEmpty { sql += " where " + conditions.map { "(\($0))" }.joined(separator: " and ") }
        sql += " order by \((sorting + Self.place.map { "t.\($0.0)" }).joined(separator: ", "))"
        sql += " limit \(limit + 1 - count)"
        return PostgresQuery(unsafeText: sql, parameters)
    }

    /// The rows that come after a place: PostgreSQL's order has NULL last, and first where it is descending.
    private func following(
        _ values: ArraySlice<String?>, _ order: ArraySlice<Order>, _ parameters: inout [PostgresValue]
    ) -> String {
        guard let first = order.first else {
            let start = parameters.count
            parameters += values.map { .inferred($0 ?? "") }
            let names = Self.place.map { "t.\($0.0)" }.joined(separator: ", ")
            let bound = Self.place.enumerated().map { "$\(start + $0 + 1)::\($1.1)" }.joined(separator: ", ")
            return "(\(names)) > (\(bound))"
        }
        let name = PostgresQuery.quoted(identifier: first.column.name)
        guard let value = values.first ?? nil else {
            let rest = following(values.dropFirst(), order.dropFirst(), &parameters)
            return first.isDescending
                ? "\(name) is not null or (\(name) is null and (\(rest)))"
                : "\(name) is null and (\(rest))"
        }
        parameters.append(.inferred(value))
        let place = "$\(parameters.count)::\(first.column.type.rawValue)"
        let rest = following(values.dropFirst(), order.dropFirst(), &parameters)
        let beyond = first.isDescending ? "\(name) < \(place)" : "\(name) > \(place) or \(name) is null"
        return "\(beyond) or (\(name) = \(place) and (\(rest)))"
    }
}

extension ExpressionSchema {
    /// A dataset's columns, and no others.
    init(_ columns: [CatalogColumn]) {
        self.init(
            columns.map { ($0.name, .typed($0.type)) },
            collations: Dictionary(columns.compactMap { column in column.collation.map { (column.name, $0) } }) { $1 })
    }
}
