import EventLoop
import Postgres

/// A query that runs, and its answer as far as it has been written. Ends with its last copy.
struct RunningQuery: Sendable {
    private let lease: SessionLease
    private let query: PostgresOpenQuery
    private let started: ContinuousClock.Instant
    private let limits: QueryEngine.Limits
    private let rowLimit: Int?
    private var writer: ResultWriter
    /// The answer is written to its end.
    private(set) var isEnded = false

    init(
        _ lease: SessionLease, _ query: PostgresOpenQuery, _ writer: ResultWriter, rowLimit: Int?,
        limits: QueryEngine.Limits, started: ContinuousClock.Instant
    ) {
        self.lease = lease
        self.query = query
        self.writer = writer
        self.rowLimit = rowLimit
        self.limits = limits
        self.started = started
    }

    var rowCount: Int { writer.rowCount }
    var connection: PostgresConnection { lease.connection }
    var elapsed: Duration { started.duration(to: .now) }

    /// The next piece of the answer, of about `size` bytes unless it is the last; nil after that.
    mutating func nextPiece(_ size: Int) async throws(PostgresError) -> [UInt8]? {
        if isEnded { return nil }
        let loop = lease.connection.loop
        if loop.isCurrent { return try await fill(size) }
        let here = self
        let (result, filled) = await loop.run {
            var filled = here
            do throws(PostgresError) {
                return (Result<[UInt8], PostgresError>.success(try await filled.fill(size)), filled)
            } catch {
                return (.failure(error), filled)
            }
        }
        self = filled
        return try result.get()
    }

    private mutating func fill(_ size: Int) async throws(PostgresError) -> [UInt8] {
        while !isEnded, writer.bytes.count < size {
            if try await !query.next({ append($0, size) }) { end(truncated: false) }
        }
        return writer.take()
    }

    /// Writes a row, unless it is one too many. False when the piece is large enough.
    private mutating func append(_ row: PostgresRow, _ size: Int) -> Bool {
        if let rowLimit, writer.rowCount >= rowLimit {
            end(truncated: true)
            return false
        }
        if writer.layout.isDocument, writer.total > limits.answerBytes {
            end(truncated: true)
            return false
        }
        writer.append(row)
        return writer.bytes.count < size
    }

    private mutating func end(truncated: Bool) {
        writer.end(truncated: truncated, elapsed: elapsed)
        isEnded = true
    }
}
