import Postgres
import Records

/// Rows of a rollup as an answer, read one by one, so that its length is bounded before it is there.
struct RollupAnswer {
    /// Bytes of a row in memory; a larger one is `.rowTooLarge` and closes the connection.
    private static let longestRow = 32 << 20
    /// Bytes after which others have their turn on the loop.
    private static let pieceSize = 64 * 1024

    private var writer: ResultWriter
    private let rowLimit: Int
    private let byteLimit: Int
    private(set) var hasMoreRows = false
    private(set) var isTooLong = false

    init(_ layout: AnswerLayout, _ columns: [ResultColumn], _ numbers: NumberStyle, rows: Int, bytes: Int) {
        writer = ResultWriter(layout, columns, numbers)
        rowLimit = rows
        byteLimit = bytes
    }

    /// All rows that there are have been read.
    var isWhole: Bool { !hasMoreRows && !isTooLong }

    /// Reads the rows of a statement whose columns are text. To be called on the connection's loop.
    mutating func read(_ statement: PostgresQuery, _ connection: PostgresConnection) async throws {
        let query = try await connection.open(statement, maximumRowBytes: Self.longestRow)
        do {
            var mayGoOn = true
            while isWhole, mayGoOn {
                let goal = writer.total + Self.pieceSize
                mayGoOn = try await query.next { append($0) && writer.total < goal }
                await Task.yield()
            }
        } catch {
            await query.close()
            throw error
        }
        await query.close()
    }

    private mutating func append(_ row: PostgresRow) -> Bool {
        if writer.rowCount == rowLimit { hasMoreRows = true }
        if writer.total > byteLimit { isTooLong = true }
        if isWhole { writer.append(row) }
        return isWhole
    }

    /// The answer, ended.
    consuming func end() -> [UInt8] {
        writer.end(truncated: hasMoreRows, elapsed: .zero)
        return writer.take()
    }
}
