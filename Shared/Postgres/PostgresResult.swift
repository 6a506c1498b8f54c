private import CPostgres

/// The rows, or the count, that a statement returned: libpq's `PGresult`, which never changes once it is here and may
/// be read from any thread. Freed with its last row.
@safe public final class PostgresResult: Sendable {
    /// How values are written: `binary` for statement types, `text` for what is shown to people.
    public enum Format: Sendable {
        case text, binary
    }

    private nonisolated(unsafe) let pointer: OpaquePointer
    public let rowCount: Int
    public let columnCount: Int

    /// Takes over a result without an error.
    init(adopting pointer: OpaquePointer) {
        unsafe self.pointer = unsafe pointer
        rowCount = Int(unsafe PQntuples(pointer))
        columnCount = Int(unsafe PQnfields(pointer))
    }

    deinit {
        unsafe PQclear(pointer)
    }

    /// The rows that INSERT, UPDATE, DELETE, MERGE or COPY affected, or that SELECT returned; 0 for other commands.
    public var affectedRows: Int {
        guard let text = unsafe PQcmdTuples(pointer) else { return 0 }
        return Int(unsafe String(cString: text)) ?? 0
    }

    /// The command tag, such as `COMMIT` or `INSERT 0 3`.
    public var commandTag: String {
        guard let text = unsafe PQcmdStatus(pointer) else { return "" }
        return unsafe String(cString: text)
    }

    /// The bytes of all values.
    var byteCount: Int {
        var bytes = 0
        for row in 0..<Int32(rowCount) {
            for column in 0..<Int32(columnCount) { bytes += Int(unsafe PQgetlength(pointer, row, column)) }
        }
        return bytes
    }

    public subscript(row: Int) -> PostgresRow {
        precondition(row >= 0 && row < rowCount, "row out of range")
        return PostgresRow(result: self, index: Int32(row))
    }

    /// The columns in order.
    public var columns: [PostgresColumn] {
        (0..<Int32(columnCount)).map { column in
            PostgresColumn(
                name: unsafe PQfname(pointer, column).map { unsafe String(cString: $0) } ?? "",
                typeOID: unsafe PQftype(pointer, column), typeModifier: unsafe PQfmod(pointer, column),
                tableOID: unsafe PQftable(pointer, column))
        }
    }

    /// All rows, decoded as the statement says. Errors: `.decode`.
    public func decode<S: PostgresStatement>(as statement: S.Type) throws(PostgresError) -> [S.Row] {
        var rows: [S.Row] = []
        rows.reserveCapacity(rowCount)
        for index in 0..<Int32(rowCount) {
            rows.append(try S.decode(PostgresRow(result: self, index: index)))
        }
        return rows
    }

    func typeOID(_ column: Int) -> UInt32 {
        unsafe PQftype(pointer, Int32(truncatingIfNeeded: column))
    }

    func isText(_ column: Int) -> Bool {
        unsafe PQfformat(pointer, Int32(truncatingIfNeeded: column)) == 0
    }

    /// Calls `body` with a value's bytes, which live as long as the call; nil for NULL.
    @inline(__always)
    func withBytes<T, E: Error>(
        _ row: Int32, _ column: Int, _ body: (UnsafeRawBufferPointer?) throws(E) -> T
    ) throws(E) -> T {
        precondition(column >= 0 && column < columnCount, "column out of range")
        let column = Int32(truncatingIfNeeded: column)
        let length = Int(unsafe PQgetlength(pointer, row, column))
        if length == 0, unsafe PQgetisnull(pointer, row, column) == 1 { return try body(nil) }
        return unsafe try body(UnsafeRawBufferPointer(start: PQgetvalue(pointer, row, column), count: length))
    }
}

/// A result's column as the server described it.
public struct PostgresColumn: Sendable, Hashable {
    public let name: String
    public let typeOID: UInt32
    public let typeModifier: Int32
    /// The table it comes from, or 0.
    public let tableOID: UInt32
}
