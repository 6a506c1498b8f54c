import Postgres
import Queue
import Records

/// The rows of a group's chunks, joined and ready to be sent.
struct GroupRows: Sendable {
    /// COPY's header, all rows, COPY's trailer.
    let copyData: [UInt8]
    /// Behind the last row of each chunk, in bytes from the first chunk's first row.
    private let ends: [Int]
    let taken: Taken

    /// Rows that are not among those to be sent.
    struct Taken: Sendable {
        /// The records of rows that have expired, for each chunk; empty where there are none at all.
        var expired: [[Int32]] = []
        var refusals: [Refusal] = []

        var count: Int { expired.reduce(refusals.count) { $0 + $1.count } }
    }

    init(copyData: [UInt8], ends: [Int], taken: Taken) {
        self.copyData = copyData
        self.ends = ends
        self.taken = taken
    }

    /// A chunk whose body is not what its head says.
    struct DamagedChunk: Error {
        let chunkID: Int64
        let reason: String
    }

    /// Reads the chunks' bodies, expands and joins them; for a job that needs all of them.
    /// - Throws: a permanent ``JobFailure`` `chunk_damaged` for the first body that is missing or damaged.
    init(of chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        let found = try await connection.query(FindChunkBodies(ids: chunks.map(\.id)))
        let bodies = Dictionary(found.map { ($0.id, $0.body) }, uniquingKeysWith: { first, _ in first })
        do {
            self = try await withTaskExecutorPreference(globalConcurrentExecutor) {
                try GroupRows(chunks: chunks, bodies: bodies)
            }
        } catch let damage as DamagedChunk {
            throw JobFailure(
                code: "chunk_damaged", message: "chunk \(damage.chunkID): \(damage.reason)", isPermanent: true)
        }
    }

    /// Expands and joins the bodies. Heavy: not to be called on an event loop.
    /// - Throws: ``DamagedChunk`` for the first body that is missing or damaged.
    init(chunks: [ChunkHead], bodies: [Int64: [UInt8]]) throws(DamagedChunk) {
        var data = CopyBinaryEncoder.header
        data.reserveCapacity(data.count + chunks.reduce(0) { $0 + Int($1.rawBytes) } + 2)
        var ends: [Int] = []
        for chunk in chunks {
            guard let body = bodies[chunk.id] else {
                throw DamagedChunk(chunkID: chunk.id, reason: "its body is gone")
            }
            let start = data.count
            do {
                try Zstd.decompress(body, limit: Int(chunk.rawBytes), appendingTo: &data)
            } catch {
                throw DamagedChunk(chunkID: chunk.id, reason: "\(error)")
            }
            let size = data.count - start
            guard size == Int(chunk.rawBytes) else {
                throw DamagedChunk(chunkID: chunk.id, reason: "it has \(size) bytes, not \(chunk.rawBytes)")
            }
            ends.append(data.count - CopyBinaryEncoder.header.count)
        }
        data += CopyBinaryEncoder.trailer
        copyData = data
        self.ends = ends
        taken = Taken()
    }

    /// The rows cut apart.
    func cut() async throws -> CutRows {
        try await withTaskExecutorPreference(globalConcurrentExecutor) {
            let rows = copyData.dropFirst(CopyBinaryEncoder.header.count).dropLast(CopyBinaryEncoder.trailer.count)
            return CutRows(rows: try CopyBinaryRows(Array(rows)), ends: ends)
        }
    }
}

/// The rows of a group one by one, and which chunk each came from.
struct CutRows: Sendable {
    let rows: CopyBinaryRows
    /// For each chunk its rows.
    let ranges: [Range<Int>]

    /// - Parameter ends: behind the last row of each chunk, in bytes.
    fileprivate init(rows: CopyBinaryRows, ends: [Int]) {
        self.rows = rows
        var ranges: [Range<Int>] = []
        var row = 0
        for end in ends {
            let first = row
            while row < rows.count, rows.offsets[row] < end { row += 1 }
            ranges.append(first..<row)
        }
        self.ranges = ranges
    }

    func chunk(of row: Int) -> Int { ranges.firstIndex { row < $0.upperBound } ?? ranges.count - 1 }
}
