import JSON
import Postgres
import Records

/// A row that a table refused.
struct Refusal: Sendable {
    /// The place of its chunk in the group.
    var chunk: Int
    /// The ordinal of its record in the batch.
    var row: Int32
    var error: PostgresError
}

/// Quarantines what a table refused, with the raw records, and counts it.
struct RawRecords: Sendable {
    /// The most bytes of a batch that are expanded, and of a record that are kept.
    static let frameLimit = 256 << 20
    static let recordLimit = 1 << 20

    /// Works on the transaction that loads the chunks' other rows.
    func quarantine(_ refusals: [Refusal], of chunks: [ChunkHead], _ connection: PostgresConnection) async throws {
        for (place, refused) in Dictionary(grouping: refusals, by: \.chunk).sorted(by: { $0.key < $1.key }) {
            let chunk = chunks[place]
            // Several rows may come from one record: it is quarantined once, with all reasons.
            let byRecord = Dictionary(grouping: refused, by: \.row).sorted { $0.key < $1.key }
            let raws = try await raws(of: byRecord.map(\.key), chunk.batchID, connection)
            let records = zip(byRecord, raws).map { entry, raw in
                RefusedRecord(
                    batchID: chunk.batchID, row: entry.key, pipelineID: chunk.pipelineID, output: chunk.output,
                    version: chunk.version, datasetID: chunk.datasetID,
                    errors: JSONValue.array(entry.value.map(\.error.quarantineEntry)).serialized(), raw: raw)
            }
            for start in stride(from: 0, to: records.count, by: 500) {
                let part = records[start..<min(records.count, start + 500)]
                try await connection.execute(QuarantineRefused(records: Array(part)))
            }
            try await count(byRecord.map(\.key), rows: refused.count, chunk, connection)
        }
    }

    private func count(
        _ records: [Int32], rows: Int, _ chunk: ChunkHead, _ connection: PostgresConnection
    ) async throws {
        let receipts = try await connection.query(FindReceiptCounts(chunk: chunk)).first
        let counts = receipts.flatMap { ReceiptCounts.adding(quarantined: records, to: $0.counts, ends: $0.ends) }
        try await connection.execute(
            CountRefused(chunk: chunk, rows: Int32(rows), records: Int32(records.count), receiptCounts: counts))
    }

    /// The raw bytes of records; empty ones where they have expired.
    private func raws(
        of rows: [Int32], _ batchID: Int64, _ connection: PostgresConnection
    ) async throws -> [[UInt8]] {
        guard let body = try await connection.query(FindRawBatch(batchID: batchID)).first else {
            return rows.map { _ in [] }
        }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) {
            let frame = try BatchFrame(decoding: body, limit: Self.frameLimit)
            let offsets = frame.offsets()
            return rows.map { row in
                guard frame.lengths.indices.contains(Int(row)) else { return [] }
                return Array(frame.record(Int(row), offsets: offsets).prefix(Self.recordLimit))
            }
        }
    }
}

/// The counts of the requests coalesced into a batch: filtered, quarantined, duplicates of each.
enum ReceiptCounts {
    /// The counts with quarantined records added; nil for a batch of one request, whose counts are the batch's.
    static func adding(quarantined rows: [Int32], to counts: [Int32], ends: [Int32]) -> [Int32]? {
        guard ends.count > 1 else { return nil }
        var counts = counts.count == ends.count * 3 ? counts : [Int32](repeating: 0, count: ends.count * 3)
        for row in rows { counts[3 * request(of: row, ends) + 1] += 1 }
        return counts
    }

    /// The first request whose end lies past a record.
    static func request(of row: Int32, _ ends: [Int32]) -> Int {
        var low = 0
        var high = ends.count - 1
        while low < high {
            let middle = (low + high) / 2
            if ends[middle] > row { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension PostgresError {
    /// As an entry of a quarantined record's errors.
    var quarantineEntry: JSONValue {
        let text = detail.map { "\(message): \($0)" } ?? message
        return [
            "code": .string(quarantineCode), "step": nil, "column": .optional(column), "message": .string(text),
        ]
    }

    private var quarantineCode: String {
        switch sqlstate?.code {
        case "23502": "not_null"
        case "23505": "duplicate_key"
        case "23514": "check_failed"
        case "54000": "too_large"
        default: sqlstate?.classCode == "54" ? "too_large" : sqlstate?.classCode == "22" ? "invalid_value" : "refused"
        }
    }
}
