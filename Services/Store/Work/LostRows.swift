import Postgres
import Records

/// The rows of a group's chunks that were not stored, as the ledger counts them: a record whose rows all lost against
/// others with their key is a duplicate, one of which a row was refused is quarantined.
struct LostRows: Sendable {
    private struct Lost {
        var chunk: Int
        var rows: Int
        /// Ordinals of records, ascending.
        var quarantined: [Int32]
        var duplicates: [Int32]
    }

    private let chunks: [Lost]

    /// How many in all.
    var rows: Int { chunks.reduce(0) { $0 + $1.rows } }

    /// Heavy: not to be called on an event loop.
    init(_ refusals: [Refusal], _ loaded: LoadedRows, of cut: CutRows) {
        let refusals = Dictionary(grouping: refusals, by: \.chunk)
        chunks = cut.ranges.indices.compactMap { number in
            let refused = refusals[number] ?? []
            let written = loaded.written?[number]
            let kept = written?.count ?? (cut.ranges[number].count - refused.count)
            let lost = cut.ranges[number].count - kept
            guard lost > 0 else { return nil }
            let quarantined = Set(refused.map(\.row))
            var duplicates: [Int32] = []
            if let written, lost > refused.count {
                let kept = Set(written)
                for row in cut.ranges[number] {
                    let record = cut.rows.lineage(row).row
                    if duplicates.last != record, !kept.contains(record), !quarantined.contains(record) {
                        duplicates.append(record)
                    }
                }
            }
            return Lost(chunk: number, rows: lost, quarantined: quarantined.sorted(), duplicates: duplicates)
        }
    }

    /// Writes the counts into the outputs of the chunks, and of the requests in their batches.
    func count(_ heads: [ChunkHead], _ connection: PostgresConnection) async throws {
        guard !chunks.isEmpty else { return }
        let outputs = chunks.map { heads[$0.chunk] }
        let found = try await connection.query(FindReceiptCounts(chunks: outputs))
        let receipts = Dictionary(found.map { ($0.place, $0) }, uniquingKeysWith: { first, _ in first })
        let updates = chunks.enumerated().map { place, lost in
            CountLost.Update(
                chunk: outputs[place], rows: Int32(lost.rows), quarantined: Int32(lost.quarantined.count),
                duplicates: Int32(lost.duplicates.count),
                receiptCounts: receipts[place].flatMap {
                    ReceiptCounts.adding(quarantined: lost.quarantined, duplicates: lost.duplicates, to: $0)
                })
        }
        try await connection.execute(CountLost(updates: updates))
    }
}

/// The counts of the requests coalesced into a batch: filtered, quarantined, duplicates of each.
enum ReceiptCounts {
    /// The counts with records added; nil for a batch of one request, whose counts are the batch's.
    static func adding(
        quarantined: [Int32], duplicates: [Int32], to found: FindReceiptCounts.Found
    ) -> [Int32]? {
        let ends = found.ends
        guard ends.count > 1 else { return nil }
        var counts =
            found.counts.count == ends.count * 3 ? found.counts : [Int32](repeating: 0, count: ends.count * 3)
        for row in quarantined { counts[3 * receipt(of: row, ends) + 1] += 1 }
        for row in duplicates { counts[3 * receipt(of: row, ends) + 2] += 1 }
        return counts
    }

    /// The first request whose end lies past the record.
    private static func receipt(of row: Int32, _ ends: [Int32]) -> Int {
        var low = 0
        var high = ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > row { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
