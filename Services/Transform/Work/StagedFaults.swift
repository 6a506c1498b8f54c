import JSON
import Records

/// The faults of one batch by record, in the order of the records.
struct StagedFaults {
    private var faults: [Int32: (stage: String, faults: [RowFault])] = [:]

    init(decode: [RowFault], transform: [RowFault]) {
        for fault in decode { faults[fault.row, default: ("decode", [])].faults.append(fault) }
        for fault in transform { faults[fault.row, default: ("transform", [])].faults.append(fault) }
    }

    var isEmpty: Bool { faults.isEmpty }

    /// Each record with its faults, in the order of the records.
    var records: [(row: Int32, stage: String, faults: [RowFault])] {
        faults.sorted { $0.key < $1.key }.map { ($0.key, $0.value.stage, $0.value.faults) }
    }

    /// Ordinals of the records that have any.
    var rows: [Int32] { faults.keys.sorted() }

    /// 1 for each of these rows whose record has none.
    func others(_ rows: [Int32]) -> [UInt8] { rows.map { faults[$0] == nil ? 1 : 0 } }

    /// The records as they go into quarantine, with their bytes as they came, each with the output that it counts in.
    /// Those of outputs that were made before are there already.
    ///
    /// - Parameters:
    ///   - datasets: the id of each output's.
    ///   - raw: the bytes of a record.
    func records(
        _ input: TransformInput, _ shares: RecordShares, datasets: [Int64], raw: (Int32) -> [UInt8]
    ) -> [QuarantinedRecord] {
        faults.sorted { $0.key < $1.key }.compactMap { row, entry in
            let output = shares.output(of: row)
            guard !input.closed.contains(Int16(output)) else { return nil }
            return QuarantinedRecord(
                batchID: input.batchID, row: row, pipelineID: input.pipelineID, output: Int16(output),
                version: input.version, datasetID: datasets[output], stage: entry.stage,
                reason: entry.faults[0].code, errors: Self.json(entry.faults), raw: raw(row))
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
