import Postgres
import Records

/// The rows of a group's chunks that were not stored, as the ledger counts them: a record whose rows all lost against
/// others with their key is a duplicate, one of which a row was refused is quarantined, one all of whose rows had
/// expired is filtered.
struct LostRows: Sendable {
    private struct Lost {
        var chunk: Int
        var rows: Int
        /// Ordinals of records, ascending.
        var quarantined: [Int32]
        var duplicates: [Int32]
        var filtered: [Int32]
    }

    private let chunks: [Lost]

    /// How many in all.
    var rows: Int { chunks.reduce(0) { $0 + $1.rows } }

    /// Heavy: not to be called on an event loop.
    /// - Parameter taken: the rows that were not sent; its refusals are among `refusals`.
    init(_ refusals: [Refusal], _ loaded: LoadedRows, _ taken: GroupRows.Taken, of cut: CutRows) {
        let unsent = Dictionary(grouping: taken.refusals, by: \.chunk)
        let refusals = Dictionary(grouping: refusals, by: \.chunk)
        chunks = cut.ranges.indices.compactMap { number in
            let refused = refusals[number] ?? []
            let written = loaded.written?[number]
            let expired = taken.expired.isEmpty ? [] : taken.expired[number]
            let before = expired.count + (unsent[number]?.count ?? 0)
            let kept = written?.count ?? (cut.ranges[number].count + before - expired.count - refused.count)
            let lost = cut.ranges[number].count + before - kept
            guard lost > 0 else { return nil }
            let quarantined = Set(refused.map(\.row))
            var duplicates: [Int32] = []
            if let written, lost > refused.count + expired.count {
                let kept = Set(written)
                for row in cut.ranges[number] {
                    let record = cut.rows.lineage(row).row
                    if duplicates.last != record, !kept.contains(record), !quarantined.contains(record) {
                        duplicates.append(record)
                    }
                }
            }
            var filtered = Set(expired).subtracting(quarantined).subtracting(duplicates)
            if !filtered.isEmpty {
                filtered.subtract(written ?? cut.ranges[number].map { cut.rows.lineage($0).row })
            }
            return Lost(
                chunk: number, rows: lost, quarantined: quarantined.sorted(), duplicates: duplicates,
                filtered: filtered.sorted())
        }
    }

    /// What a chunk's output lost.
    struct Update: Sendable {
        var chunk: ChunkHead
        var rows: Int32
        var quarantined: Int32
        var duplicates: Int32
        var filtered: Int32
        /// As `millrace.application.receipt_counts`; nil where the batch has one request.
        var receiptCounts: [Int32]?
    }

    /// Writes the counts into the outputs of the chunks, and of the requests in their batches.
    func count(_ heads: [ChunkHead], in ledger: any ChunkLedger, _ connection: PostgresConnection) async throws {
        guard !chunks.isEmpty else { return }
        let outputs = chunks.map { heads[$0.chunk] }
        let found = try await ledger.receiptCounts(outputs, connection)
        let receipts = Dictionary(found.map { ($0.place, $0) }, uniquingKeysWith: { first, _ in first })
        let updates = chunks.enumerated().map { place, lost in
            Update(
                chunk: outputs[place], rows: Int32(lost.rows), quarantined: Int32(lost.quarantined.count),
                duplicates: Int32(lost.duplicates.count), filtered: Int32(lost.filtered.count),
                receiptCounts: receipts[place].flatMap {
                    $0.adding(filtered: lost.filtered, quarantined: lost.quarantined, duplicates: lost.duplicates)
                })
        }
        try await ledger.count(updates, connection)
    }
}

/// The counts of the requests coalesced into a batch: filtered, quarantined, duplicates of each.
enum ReceiptCounts {
    /// Those of a chunk's batch.
    struct Found: Sendable {
        /// Of the chunk among those asked for.
        var place: Int
        var ends: [Int32]
        /// As `millrace.application.receipt_counts`; empty where nothing was counted.
        var counts: [Int32]

        init(_ row: PostgresRow) throws(PostgresError) {
            place = Int(try row.int8(0)) - 1
            ends = try row.int4Array(1)
            counts = try row.int4Array(2)
        }

        /// The counts with records added; nil for a batch of one request, whose counts are the batch's.
        func adding(filtered: [Int32], quarantined: [Int32], duplicates: [Int32]) -> [Int32]? {
            guard ends.count > 1 else { return nil }
            var counts = counts.count == ends.count * 3 ? counts : [Int32](repeating: 0, count: ends.count * 3)
            for row in filtered { counts[3 * ReceiptCounts.receipt(of: row, ends)] += 1 }
            for row in quarantined { counts[3 * ReceiptCounts.receipt(of: row, ends) + 1] += 1 }
            for row in duplicates { counts[3 * ReceiptCounts.receipt(of: row, ends) + 2] += 1 }
            return counts
        }
    }

    /// The first request whose end lies past the record.
    static func receipt(of row: Int32, _ ends: [Int32]) -> Int {
        var low = 0
        var high = ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > row { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
