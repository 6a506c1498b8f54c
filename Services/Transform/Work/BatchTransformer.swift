import JSON
import Queue
import Records

/// What a batch became under a pipeline: what is to be written in one transaction.
struct TransformedBatch: Sendable {
    /// Those that are to be written, in the order of their numbers. An output that was made before is left out.
    var outputs: [TransformedOutput]
    var quarantined: [QuarantinedRecord]
    /// The pipeline was run over the batch before, and what that left behind has to go.
    var isRepeated: Bool
    /// Nil unless some of the outputs were made before, which then must still be what they were.
    var standing: StandingOutput?
    /// Ordinals of the records that were run; nil where all were.
    var chosen: [Int32]?

    /// Leaves all but some of the outputs as they are.
    mutating func keep(_ numbers: [Int16]) {
        outputs.removeAll { !numbers.contains($0.application.output) }
        quarantined.removeAll { !numbers.contains($0.output) }
    }
}

/// What one output of a batch became.
struct TransformedOutput: Sendable {
    var application: ApplicationUpdate
    /// Nil when no row is left to load.
    var chunk: NewChunk?
}

/// Turns one batch into what its outputs need: decoding, the pipeline's steps, fitting, encoding. Pure but for the
/// agreement on columns; CPU-heavy, so it runs off the event loops.
struct BatchTransformer: Sendable {
    /// The largest frame that is unpacked, in bytes.
    static let frameLimit = 64 << 20
    /// Rounds of agreement before a batch is given back to the queue: each lost round means that others added
    /// columns in the same moment.
    static let agreementRounds = 8

    let schemas: SchemaRegistry
    let lookups: Lookups

    /// What becomes of fields that a dataset has no column for, where it is to get one.
    enum NewColumns: Sendable {
        /// A column is agreed on.
        case agreed
        /// None is: they come in `_extra`.
        case extra
        /// None is, but the rows are as they would be then.
        case foreseen
    }

    func transform(
        _ input: TransformInput, _ pipeline: BoundPipeline, payload: [UInt8]
    ) async throws -> TransformedBatch {
        let frame = try BatchFrame(decoding: payload, limit: Self.frameLimit)
        return try await transform(input, pipeline, BatchRecords(frame: frame))
    }

    /// - Parameter isDry: no dataset is made, and nothing is agreed on: what has no column yet comes in `_extra`.
    func transform(
        _ input: TransformInput, _ pipeline: BoundPipeline, _ given: BatchRecords, isDry: Bool = false
    ) async throws -> TransformedBatch {
        let decoded = try given.decode()
        return try await transform(
            input, pipeline, decoded.batch,
            count: given.ordinals == nil ? given.frame.recordCount : Int(input.receiptEnds.last ?? 0),
            chosen: given.ordinals, decodeFaults: decoded.faults, erased: given.erased, isDry: isDry, raw: given.bytes)
    }

    /// Whether a table may turn down rows as they are when they are appended: by its key, or for want of a partition
    /// for them. Rows that are too wide any table turns down.
    func mayBeRefused(by pipeline: BoundPipeline, _ workspaceID: Int64) async throws -> Bool {
        for output in pipeline.outputs {
            let schema = try await schemas.schema(output.dataset, workspaceID: workspaceID)
            if schema.isPartitioned || !schema.primaryKey.isEmpty && !output.mode.merges { return true }
        }
        return false
    }

    /// The same for records that are decoded, `count` with those that could not be; `raw` gives the bytes of one that
    /// is quarantined.
    ///
    /// - Parameters:
    ///   - chosen: ordinals of the records, where they are some of the batch's `count`.
    ///   - erased: those that are no more: they count as filtered.
    func transform(
        _ input: TransformInput, _ pipeline: BoundPipeline, _ records: RecordBatch, count: Int,
        chosen: [Int32]? = nil, decodeFaults: [RowFault] = [], erased: [Int32] = [], isDry: Bool = false,
        raw: (Int32) -> [UInt8]
    ) async throws -> TransformedBatch {
        var run = PipelineRun(pipeline.steps, records, received: input.receivedAt, isWhole: chosen == nil)
        var outcome = try await finish(&run, input)
        outcome.filtered += erased
        let shares = RecordShares(records: count, outputs: outcome.outputs, chosen: chosen)
        let fitted = try await fit(
            outcome, decodeFaults: decodeFaults, to: pipeline.outputs, input.workspaceID,
            newColumns: isDry ? .extra : .agreed)
        let faults = fitted.faults
        let turnedDown = shares.split(faults.rows)
        let filtered = shares.split(outcome.filtered)
        let duplicates = shares.split(outcome.duplicates)
        let outputs = try fitted.outputs.indices.filter { !input.closed.contains(Int16($0)) }.map { number in
            let output = fitted.outputs[number]
            let chunk = try encode(
                output.batch, input, output.schema, Int16(number), pipeline.outputs[number].mode)
            return TransformedOutput(
                application: ApplicationUpdate(
                    batchID: input.batchID, pipelineID: input.pipelineID, output: Int16(number),
                    version: input.version, datasetID: output.schema.id, isFinished: chunk == nil,
                    received: shares.received[number], filtered: Int32(filtered[number].count),
                    quarantined: Int32(turnedDown[number].count), duplicates: Int32(duplicates[number].count),
                    receiptReceived: ReceiptTally.received(ends: input.receiptEnds, shares, output: number),
                    receiptCounts: ReceiptTally.counts(
                        ends: input.receiptEnds, filtered: filtered[number], quarantined: turnedDown[number],
                        duplicates: duplicates[number])),
                chunk: chunk)
        }
        return TransformedBatch(
            outputs: outputs,
            quarantined: faults.records(input, shares, datasets: fitted.outputs.map(\.schema.id), raw: raw),
            isRepeated: input.isRepeated, standing: input.standing, chosen: chosen)
    }

    /// A step that turns the whole batch down does so each time: the job is given up.
    private func finish(_ run: inout PipelineRun, _ input: TransformInput) async throws -> PipelineOutput {
        do {
            while let request = try run.advance() {
                run.supply(try await lookups.find(request, workspaceID: input.workspaceID))
            }
        } catch let error as BatchFailure {
            throw JobFailure(code: error.code, message: error.description, isPermanent: true)
        }
        return run.output
    }

    /// Fits what the steps made to the datasets of the outputs, by their numbers.
    func fit(
        _ outcome: PipelineOutput, decodeFaults: [RowFault], to targets: [PipelineDefinition.Target],
        _ workspaceID: Int64, newColumns: NewColumns
    ) async throws -> FittedBatch {
        var outputs: [FittedBatch.Output] = []
        for (number, target) in targets.enumerated() {
            let schema = try await schemas.schema(
                target.dataset, workspaceID: workspaceID, isDry: newColumns != .agreed)
            outputs.append(
                try await fit(
                    outcome.outputs[number], outcome.deletes[number], to: schema, target.dataset, workspaceID,
                    newColumns))
        }
        return FittedBatch(outcome, outputs, decodeFaults: decodeFaults)
    }

    /// Fits rows to a dataset; none need no agreement.
    private func fit(
        _ rows: RecordBatch, _ deletes: [UInt8]?, to schema: DatasetSchema, _ dataset: String, _ workspaceID: Int64,
        _ newColumns: NewColumns
    ) async throws -> FittedBatch.Output {
        guard rows.rowCount > 0 else { return FittedBatch.Output(schema: schema, batch: rows) }
        var fitter = OutputFitter(rows, deletes: deletes, to: schema)
        for _ in 0..<Self.agreementRounds {
            let wanted = fitter.plan()
            if wanted.isEmpty { break }
            let before = fitter.schema
            switch newColumns {
            case .agreed:
                fitter.schema = try await schemas.agree(
                    on: wanted, of: dataset, workspaceID: workspaceID, schema: before)
            case .extra: fitter.schema.columns += wanted.map(AgreedColumn.init(extra:))
            case .foreseen: fitter.schema.foresee(wanted)
            }
            if fitter.schema.columns == before.columns { break }
        }
        let fitted = fitter.fit()
        return FittedBatch.Output(
            schema: schema, agreed: fitter.schema.columns, batch: fitted.batch, faults: fitted.faults)
    }

    private func encode(
        _ batch: RecordBatch, _ input: TransformInput, _ schema: DatasetSchema, _ output: Int16,
        _ mode: PipelineDefinition.Mode
    ) throws -> NewChunk? {
        guard batch.rowCount > 0 else { return nil }
        let encoder = CopyBinaryEncoder(batch: input.batchID, output: Int32(output))
        let rows = try encoder.encode(batch)
        return NewChunk(
            workspaceID: input.workspaceID, batchID: input.batchID, pipelineID: input.pipelineID, output: output,
            version: input.version, datasetID: schema.id, mode: mode, columns: batch.columns.map(\.name),
            types: batch.columns.map { named in
                if case .typed(let type) = named.column.type { type.rawValue } else { ColumnType.text.rawValue }
            },
            rows: Int32(batch.rowCount), rawBytes: Int32(rows.count), body: try Zstd.compress(rows))
    }
}
