import Records

/// The rows of a group's chunks, joined and ready to be sent.
struct GroupRows: Sendable {
    /// COPY's header, all rows, COPY's trailer.
    let copyData: [UInt8]
    /// Behind the last row of each chunk, in bytes from the first chunk's first row.
    private let ends: [Int]

    /// A chunk whose body is not what its head says.
    struct DamagedChunk: Error {
        let chunkID: Int64
        let reason: String
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
            let rows: [UInt8]
            do {
                rows = try Zstd.decompress(body, limit: Int(chunk.rawBytes))
            } catch {
                throw DamagedChunk(chunkID: chunk.id, reason: "\(error)")
            }
            guard rows.count == Int(chunk.rawBytes) else {
                throw DamagedChunk(chunkID: chunk.id, reason: "it has \(rows.count) bytes, not \(chunk.rawBytes)")
            }
            data += rows
            ends.append(data.count - CopyBinaryEncoder.header.count)
        }
        data += CopyBinaryEncoder.trailer
        copyData = data
        self.ends = ends
    }

    /// The rows cut apart.
    func cut() throws -> CopyBinaryRows {
        let rows = copyData.dropFirst(CopyBinaryEncoder.header.count).dropLast(CopyBinaryEncoder.trailer.count)
        return try CopyBinaryRows(Array(rows))
    }

    /// Which chunk a row came from.
    func chunk(of row: Int, in rows: CopyBinaryRows) -> Int {
        let start = rows.offsets[row]
        return ends.firstIndex { start < $0 } ?? ends.count - 1
    }
}
