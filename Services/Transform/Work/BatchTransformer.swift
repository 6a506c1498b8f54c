import JSON
import Records

/// What a batch became under a pipeline: what is to be written in one transaction.
struct TransformedBatch: Sendable {
    var application: ApplicationUpdate
    /// Nil when no row is left to load.
    var chunk: NewChunk?
    var quarantined: [QuarantinedRecord]
}

/// Turns one batch into what its output needs: decoding, the pipeline's steps, fitting, encoding. Pure but for the
/// agreement on columns; CPU-heavy, so it runs off the event loops.
struct BatchTransformer: Sendable {
    /// The largest frame that is unpacked, in bytes.
    static let frameLimit = 64 << 20
    /// Rounds of agreement before a batch is given back to the queue: each lost round means that others added
    /// columns in the same moment.
    static let agreementRounds = 8

    let schemas: SchemaRegistry

    func transform(
        _ input: TransformInput, _ pipeline: BoundPipeline, payload: [UInt8]
    ) async throws -> TransformedBatch {
        let frame = try BatchFrame(decoding: payload, limit: Self.frameLimit)
        let decoded = try RecordDecoder().decode(frame)
        let outcome = pipeline.steps.run(decoded.batch)
        let dataset = pipeline.dataset
        let schema = try await schemas.schema(dataset, workspaceID: input.workspaceID)
        var fitter = OutputFitter(outcome.batch, deletes: outcome.deletes, to: schema)
        for _ in 0..<Self.agreementRounds {
            let wanted = fitter.plan()
            if wanted.isEmpty { break }
            let before = fitter.schema
            fitter.schema = try await schemas.agree(
                on: wanted, of: dataset, workspaceID: input.workspaceID, schema: before)
            if fitter.schema.columns == before.columns { break }
        }
        let fitted = fitter.fit()
        let faults = StagedFaults(decode: decoded.faults, transform: outcome.faults + fitted.faults)
        let chunk = try encode(fitted.batch, input, schema, pipeline.mode)
        let turnedDown = faults.rows
        let filtered = outcome.filtered
        return TransformedBatch(
            application: ApplicationUpdate(
                batchID: input.batchID, pipelineID: input.pipelineID, version: input.version, datasetID: schema.id,
                isFinished: chunk == nil, filtered: Int32(filtered.count), quarantined: Int32(turnedDown.count),
                receiptCounts: ReceiptTally.counts(
                    ends: input.receiptEnds, filtered: filtered, quarantined: turnedDown)),
            chunk: chunk,
            quarantined: faults.records(of: frame, input, datasetID: schema.id))
    }

    private func encode(
        _ batch: RecordBatch, _ input: TransformInput, _ schema: DatasetSchema, _ mode: PipelineDefinition.Mode
    ) throws -> NewChunk? {
        guard batch.rowCount > 0 else { return nil }
        let rows = try CopyBinaryEncoder(batch: input.batchID, output: 0, pieceBytes: 64 << 20).encode(batch)
        return NewChunk(
            workspaceID: input.workspaceID, batchID: input.batchID, pipelineID: input.pipelineID,
            version: input.version, datasetID: schema.id, mode: mode, columns: batch.columns.map(\.name),
            types: batch.columns.map { named in
                if case .typed(let type) = named.column.type { type.rawValue } else { ColumnType.text.rawValue }
            },
            rows: Int32(batch.rowCount), rawBytes: Int32(rows.count), body: try Zstd.compress(rows))
    }
}

/// The faults of one batch by record, in the order of the records.
struct StagedFaults {
    private var faults: [Int32: (stage: String, faults: [RowFault])] = [:]

    init(decode: [RowFault], transform: [RowFault]) {
        for fault in decode { faults[fault.row, default: ("decode", [])].faults.append(fault) }
        for fault in transform { faults[fault.row, default: ("transform", [])].faults.append(fault) }
    }

    /// Ordinals of the records that have any.
    var rows: [Int32] { faults.keys.sorted() }

    /// The records as they go into quarantine, with their bytes as they came.
    func records(of frame: BatchFrame, _ input: TransformInput, datasetID: Int64) -> [QuarantinedRecord] {
        guard !faults.isEmpty else { return [] }
        let offsets = frame.offsets()
        return faults.sorted { $0.key < $1.key }.map { row, entry in
            QuarantinedRecord(
                batchID: input.batchID, row: row, pipelineID: input.pipelineID, version: input.version,
                datasetID: datasetID, stage: entry.stage, errors: Self.json(entry.faults),
                raw: Array(frame.record(Int(row), offsets: offsets)))
        }
    }

    static func json(_ faults: [RowFault]) -> [UInt8] {
        var writer = JSONWriter()
        writer.array { writer in
            for fault in faults.prefix(20) {
                writer.object { writer in
                    writer.member("code", fault.code)
                    writer.member("step", fault.step)
                    writer.member("column", fault.column)
                    writer.member("message", String(fault.message.prefix(1_000)))
                }
            }
        }
        return writer.bytes
    }
}
