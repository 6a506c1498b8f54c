import Postgres
import Records

/// A row of a group that the table refused, and why.
typealias RefusedRow = (row: Int, error: PostgresError)

/// Where the rows of a group of chunks go. Works in the transaction that settles the chunks' jobs.
protocol RowTarget: Sendable {
    /// Loads rows as COPY's data. Errors: a data fault, where the table refuses a row; the transaction is then lost.
    func load(_ data: [UInt8], of chunks: [ChunkHead], _ connection: PostgresConnection) async throws -> LoadedRows

    /// Loads what the table takes; gives the rows that it does not.
    func sift(
        _ rows: CopyBinaryRows, of chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> (loaded: LoadedRows, refused: [RefusedRow])
}

/// What became of rows that a table did not refuse.
struct LoadedRows: Sendable {
    /// Rows that the server has read.
    var sent: Int
    /// For each chunk the records whose rows were written, in any order, one for each row; nil: all of them.
    var written: [[Int32]]?
}
