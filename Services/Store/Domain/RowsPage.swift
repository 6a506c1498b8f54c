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

    /// Reads one page. Errors: what the database throws, `query_failed` where the condition fails on a row,
    /// `invalid_expression` for one that is fine for records and not for a table.
    static func read(
        _ query: RowsQuery, schema: String, table: String, from pool: PostgresPool
    ) async throws -> RowsPage {
        let statement = query.statement(schema: schema, table: table)
        do {
            return try await pool.withTransaction(readOnly: true) { connection in
                try await connection.query("set local timezone = 'UTC'")
                return try await connection.stream(statement, format: .binary, timeout: .seconds(30)) { rows in
                    try await collect(rows, query)
                }
            }
        } catch let error as PostgresError where query.condition != nil {
            throw problem(error)
        } catch let error as PostgresError where query.after != nil && error.sqlstate?.classCode == "22" {
            throw Problem(.invalidCursor, "the cursor is not one that this list gave")
        }
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

    private static func collect(_ rows: PostgresRowStream, _ query: RowsQuery) async throws -> RowsPage {
        var builders = query.columns.map { ColumnBuilder(name: $0.name, type: $0.type) }
        var count = 0
        var size = 0
        var last: PostgresRow?
        var next: [String?]?
        while let row = try await rows.next() {
            if let last, count == query.limit || size > bytes {
                let keys = query.columns.count..<query.columns.count + query.order.count + RowsQuery.place.count
                next = try keys.map { try last.optionalText($0) }
                break
            }
            for place in builders.indices { size += try builders[place].append(row, place) }
            count += 1
            last = row
        }
        let columns = builders.map { NamedColumn($0.name, $0.column) }
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
