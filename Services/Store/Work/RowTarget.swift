import Postgres
import Records

/// A row of a group that the table refused, and why; without a reason where it is another row of its record that was
/// refused, since those stand or fall together.
typealias RefusedRow = (row: Int, error: PostgresError?)

/// Where the rows of a group of chunks go. Works in the transaction that settles the chunks' jobs.
protocol RowTarget: Sendable {
    /// Loads rows as COPY's data. Errors: a data fault, where the table refuses a row; the transaction is then lost.
    func load(_ data: [UInt8], of chunks: [ChunkHead], _ connection: PostgresConnection) async throws -> LoadedRows

    /// Loads what the table takes; gives the rows that it does not, and the other rows of their records.
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

extension CopyBinaryRows {
    /// The other rows of the records that rows are of.
    func siblings(of rows: [Int]) -> [Int] {
        let known = Set(rows)
        let records = Set(rows.map { lineage($0) })
        return (0..<count).filter { !known.contains($0) && records.contains(lineage($0)) }
    }
}
