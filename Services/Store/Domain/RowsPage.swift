import HTTP
import JSON
import Postgres
import Records

/// Rows read from a table, as columns, with what the next page comes after.
struct RowsPage: Sendable {
    /// A page ends early beyond so many bytes of values.
    static let bytes = 4 << 20

    let batch: RecordBatch
    /// The cursor's values where there are more rows.
    var next: [String?]?

    /// How long all that a page takes of the database may take.
    static let longest = Duration.seconds(30)

    /// Reads one page. Errors: what the database throws, `query_failed` where the condition fails on a row,
    /// `invalid_expression` for one that is fine for records and not for a table.
    static func read(
        _ query: RowsQuery, schema: String, table: String, from pool: PostgresPool
    ) async throws -> RowsPage {
        do {
            // Of several statements all see the same rows.
            return try await pool.withTransaction(isolation: .repeatableRead, readOnly: true) { connection in
                try await read(query, schema: schema, table: table, on: connection)
            }
        } catch let error as PostgresError where query.condition != nil {
            throw problem(error)
        } catch let error as PostgresError where query.after != nil && error.sqlstate?.classCode == "22" {
            throw Problem(.invalidCursor, "the cursor is not one that this list gave")
        }
    }

    /// Reads one page in a transaction.
    static func read(
        _ query: RowsQuery, schema: String, table: String, on connection: PostgresConnection
    ) async throws -> RowsPage {
        let end = ContinuousClock.now + longest
        guard query.isByBatch else {
            try await connection.query("set local timezone = 'UTC'")
            let statement = query.statement(schema: schema, table: table)
            return try await collect(statement, query, PageBuilder(query), until: end, connection).page
        }
        let last = try await connection.query(PrepareRowsPage()).first ?? 0
        var search = try query.batchSearch(last: last)
        var page = PageBuilder(query)
        while true {
            switch search.step {
            case .count(let window):
                let count = query.count(schema: schema, table: table, in: window, most: search.enough)
                let result = try await connection.query(count, timeout: left(until: end))
                search.counted(Int(try result[0].int8(0)))
            case .read(let window):
                let statement = query.statement(schema: schema, table: table, in: window, having: page.count)
                page = try await collect(statement, query, page, until: end, connection)
                if page.next != nil { return page.page }
                search.passed()
            case .end: return page.page
            }
        }
    }

    private static func left(until end: ContinuousClock.Instant) -> Duration {
        max(.milliseconds(1), ContinuousClock.now.duration(to: end))
    }

    /// What an error of a statement with a condition says to who wrote that.
    static func problem(_ error: PostgresError) -> any Error {
        let state: [(String, JSONValue)] = [("sqlstate", .string(error.sqlstate?.code ?? ""))]
        return switch error.sqlstate?.classCode {
        case "22": Problem(.queryFailed, "the condition fails on a row: \(error.message)", extensions: state)
        case "42": Problem(.invalidExpression, "where: \(error.message)", extensions: state)
        default: error
        }
    }

    /// Adds a statement's rows to a page.
    private static func collect(
        _ statement: PostgresQuery, _ query: RowsQuery, _ begun: PageBuilder, until end: ContinuousClock.Instant,
        _ connection: PostgresConnection
    ) async throws -> PageBuilder {
        try await connection.stream(statement, format: .binary, timeout: left(until: end)) { rows in
            var page = begun
            var last: PostgresRow?
            while let row = try await rows.next() {
                if page.count == query.limit || page.size > bytes {
                    page.next = try last.map { try query.cursorValues(of: $0) } ?? page.last
                    return page
                }
                try page.append(row)
                last = row
            }
            if let last { page.last = try query.cursorValues(of: last) }
            return page
        }
    }
}

extension RowsQuery {
    /// What the page comes after that begins behind a row.
    fileprivate func cursorValues(of row: PostgresRow) throws(PostgresError) -> [String?] {
        var values: [String?] = []
        for place in columns.count..<columns.count + order.count + Self.place.count {
            values.append(try row.optionalText(place))
        }
        return values
    }
}

/// A page that is being read.
private struct PageBuilder: Sendable {
    private var columns: [ColumnBuilder]
    private(set) var count = 0
    /// About how many bytes the values take.
    private(set) var size = 0
    /// The place of the last row, once a statement's rows have all been read.
    var last: [String?]?
    /// The same, when there are more rows than the page has.
    var next: [String?]?

    init(_ query: RowsQuery) {
        columns = query.columns.map { ColumnBuilder(name: $0.name, type: $0.type) }
    }

    mutating func append(_ row: PostgresRow) throws(PostgresError) {
        for place in columns.indices { size += try columns[place].append(row, place) }
        count += 1
    }

    var page: RowsPage {
        let columns = columns.map { NamedColumn($0.name, $0.column) }
        return RowsPage(batch: RecordBatch(rows: (0..<Int32(count)).map { $0 }, columns: columns), next: next)
    }
}

/// Gathers the values of one column of a result.
private struct ColumnBuilder {
    let name: String
    let type: ColumnType
    private var validity: [UInt8] = []
    private var integers: [Int64] = []
    private var doubles: [Double] = []
    private var booleans: [UInt8] = []
    private var texts = ByteColumn()

    init(name: String, type: ColumnType) {
        self.name = name
        self.type = type
    }

    /// Gives about how many bytes the value takes.
    mutating func append(_ row: PostgresRow, _ place: Int) throws(PostgresError) -> Int {
        let isNull = row.isNull(place)
        validity.append(isNull ? 0 : 1)
        switch type {
        case .int8: integers.append(isNull ? 0 : try row.int8(place))
        case .timestamptz: integers.append(isNull ? 0 : try row.timestamp(place))
        case .date: integers.append(isNull ? 0 : Self.days(try row.date(place)))
        case .float8: doubles.append(isNull ? 0 : try row.float8(place))
        case .bool: booleans.append(isNull ? 0 : try row.bool(place) ? 1 : 0)
        case .text, .numeric, .jsonb, .uuid:
            let before = texts.data.count
            if !isNull {
                if type == .uuid {
                    texts.data += try row.uuid(place)
                } else {
                    texts.data.append(contentsOf: try row.text(place).utf8)
                }
            }
            texts.endValue()
            return texts.data.count - before + 8
        }
        return 16
    }

    /// A column's infinities are those of 64 bits.
    private static func days(_ value: Int32) -> Int64 {
        value == .max ? .max : value == .min ? .min : Int64(value)
    }

    var column: Column {
        let storage: ColumnStorage =
            switch type {
            case .int8, .timestamptz, .date: .int64(integers)
            case .float8: .float64(doubles)
            case .bool: .bool(booleans)
            case .text, .numeric, .jsonb, .uuid: .bytes(texts)
            }
        return Column(type, storage, validity: validity)
    }
}

extension RowsPage {
    /// `{"items": [{…}], "next_cursor": …}`.
    func json(cursor: String?, numbers: NumberStyle) -> [UInt8] {
        var output = Array("{\"items\":[".utf8)
        for row in 0..<batch.rowCount {
            if row > 0 { output.append(UInt8(ascii: ",")) }
            batch.appendJSON(row, numbers: numbers, into: &output)
        }
        output += Array("],\"next_cursor\":".utf8)
        output += JSONValue.optional(cursor).serialized()
        output.append(UInt8(ascii: "}"))
        return output
    }
}
