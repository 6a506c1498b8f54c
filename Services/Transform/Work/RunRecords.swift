import Postgres
import Queue
import Records

/// What a run takes of its batches.
struct RunRecords: Sendable {
    let pool: PostgresPool
    let kind: RunKind

    /// By the ordinals of a run's batches; without those of which nothing is left to heal. Errors: `raw_expired` where
    /// the raw bytes are needed and gone; those of reading a frame.
    func find(_ group: [ReplayInput], of run: Int64) async throws -> [Int32: BatchRecords] {
        var found: [Int32: BatchRecords] = [:]
        switch kind {
        case .replay:
            let payloads = try await payloads(of: group.map(\.input.batchID))
            for item in group {
                let frame = try frame(of: item.input.batchID, payloads)
                found[item.ordinal] = item.records.map { frame.chosen($0) } ?? BatchRecords(frame: frame)
            }
        case .heal:
            for item in group {
                let records = try await failed(item.input.batchID, run)
                if records.frame.recordCount > 0 { found[item.ordinal] = records }
            }
        }
        return found
    }

    /// What is quarantined, in a frame of its own. The header row of CSV lies in the batch's only. What a slice of a
    /// table has left is read as the columns that its dataset has now.
    private func failed(_ batch: Int64, _ run: Int64) async throws -> BatchRecords {
        let (find, findFormat) = (FindFailedRecords(run: run, batchID: batch), FindBatchFormat(batchID: batch))
        let (records, given) = try await pool.withConnection { connection in
            (try await connection.query(find), try await connection.query(findFormat).first)
        }
        var frame = BatchFrame(format: given?.format ?? .ndjson)
        if frame.format == .csv { frame.header = try self.frame(of: batch, try await payloads(of: [batch])).header }
        for record in records { frame.append(record: record.raw) }
        let columns: [TableColumn]? =
            if let dataset = given?.dataset { try await self.columns(of: dataset) } else { nil }
        return BatchRecords(frame: frame, ordinals: records.map(\.ordinal), columns: columns)
    }

    private func columns(of dataset: SliceDataset) async throws -> [TableColumn] {
        let find = FindSourceColumns(workspaceID: dataset.workspaceID, name: dataset.name)
        guard let columns = try await pool.withConnection({ try await $0.query(find).first }) else {
            throw JobFailure(
                code: "source_removed",
                message: "the dataset \(dataset.name), whose rows the records were, is not there any more",
                isPermanent: true)
        }
        return columns
    }

    private func payloads(of batches: [Int64]) async throws -> [Int64: [UInt8]] {
        let statement = FindPayloads(batches: batches)
        let rows = try await pool.withConnection { try await $0.query(statement) }
        return Dictionary(rows, uniquingKeysWith: { first, _ in first })
    }

    private func frame(of batch: Int64, _ payloads: [Int64: [UInt8]]) throws -> BatchFrame {
        guard let payload = payloads[batch] else {
            throw JobFailure(
                code: "raw_expired", message: "the raw bytes of batch \(batch) have expired", isPermanent: true)
        }
        return try BatchFrame(decoding: payload, limit: BatchTransformer.frameLimit)
    }
}

extension BatchFrame {
    /// Some of the records.
    fileprivate func chosen(_ ordinals: [Int32]) -> BatchRecords {
        var part = BatchFrame(format: format, header: header)
        let offsets = offsets()
        for ordinal in ordinals { part.append(record: Array(record(Int(ordinal), offsets: offsets))) }
        return BatchRecords(frame: part, ordinals: ordinals)
    }
}
