import JSON
import Postgres
import Records

/// A row that a table refused.
struct Refusal: Sendable {
    /// The place of its chunk in the group.
    var chunk: Int
    /// The ordinal of its record in the batch.
    var row: Int32
    /// What quarantine says of it; nil of a row that goes because another one of its record was refused.
    var entry: JSONValue?
}

/// Quarantines what a table refused, with the raw records.
struct RawRecords: Sendable {
    /// The most bytes of a batch that are expanded, and of a record that are kept.
    static let frameLimit = 256 << 20
    static let recordLimit = 1 << 20

    /// Works on the transaction that loads the chunks' other rows.
    func quarantine(
        _ refusals: [Refusal], of chunks: [ChunkHead], in ledger: any ChunkLedger, _ connection: PostgresConnection
    ) async throws {
        for (place, refused) in Dictionary(grouping: refusals, by: \.chunk).sorted(by: { $0.key < $1.key }) {
            let chunk = chunks[place]
            // Several rows may come from one record: it is quarantined once, with all reasons.
            let byRecord = Dictionary(grouping: refused, by: \.row).sorted { $0.key < $1.key }
            let raws = try await raws(of: byRecord.map(\.key), chunk, connection)
            let records = zip(byRecord, raws).map { entry, raw in
                RefusedRecord(
                    batchID: chunk.batchID, row: entry.key, pipelineID: chunk.pipelineID, output: chunk.output,
                    version: chunk.version, datasetID: chunk.datasetID,
                    errors: JSONValue.array(entry.value.compactMap(\.entry)).serialized(), raw: raw)
            }
            for start in stride(from: 0, to: records.count, by: 500) {
                let part = records[start..<min(records.count, start + 500)]
                try await ledger.quarantine(Array(part), of: chunk, connection)
            }
        }
    }

    /// The raw bytes of records; empty ones where they have expired. A slice of a table has them with its chunk.
    private func raws(
        of rows: [Int32], _ chunk: ChunkHead, _ connection: PostgresConnection
    ) async throws -> [[UInt8]] {
        guard let body = try await connection.query(FindRawBatch(batchID: chunk.batchID)).first else {
            guard let source = try await connection.query(FindSliceSource(chunkID: chunk.id)).first else {
                return rows.map { _ in [] }
            }
            return try await withTaskExecutorPreference(globalConcurrentExecutor) { try Self.records(rows, of: source) }
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

    private static func records(_ rows: [Int32], of source: SliceSource) throws -> [[UInt8]] {
        var decoder = CopyBinaryDecoder(rows: source.columns)
        decoder.append(try Zstd.decompress(source.body, limit: frameLimit))
        let batch = try decoder.finish()
        return rows.map { row in
            guard batch.rows.indices.contains(Int(row)) else { return [] }
            var record: [UInt8] = []
            TableRecord.append(batch, Int(row), into: &record)
            return Array(record.prefix(recordLimit))
        }
    }
}

extension PostgresError {
    /// A row is at fault. Tables have no conditions with a name but that of ``RequiredColumns``: one without a name
    /// says that a row's partition is not there (any more).
    var refusesRow: Bool {
        sqlstate?.isDataFault ?? false && (sqlstate != .checkViolation || constraint != nil)
    }

    /// As an entry of a quarantined record's errors.
    var quarantineEntry: JSONValue {
        let said = detail.map { "\(message): \($0)" } ?? message
        let text = sqlstate == .checkViolation ? "no value in a column that must have one: \(said)" : said
        return [
            "code": .string(quarantineCode), "step": nil, "column": .optional(column), "message": .string(text),
        ]
    }

    private var quarantineCode: String {
        switch sqlstate?.code {
        case "23502", "23514": "not_null"
        case "23505": "duplicate_key"
        case "54000": "too_large"
        default: sqlstate?.classCode == "54" ? "too_large" : sqlstate?.classCode == "22" ? "invalid_value" : "refused"
        }
    }
}
