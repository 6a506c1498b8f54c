import Queue

/// What the ledger says of an output.
struct OutputCounts: Sendable, Equatable {
    var place: ChunkHead.Place
    /// Of a chunk that entered it; the ledger keeps the one that it has.
    var version: Int32
    var datasetID: Int64?
    /// Of a slice of a table.
    var isSlice = false
    /// The run that changed it last; nil: none has.
    var run: Int64?
    var received: Int32
    var stored: Int32
    var filtered: Int32
    var quarantined: Int32
    var duplicates: Int32
    /// First record past each request of the batch.
    var ends: [Int32]
    /// As in `millrace.application`.
    var receiptReceived: [Int32]?
    var receiptCounts: [Int32]?
}

/// The ledger of batches while records leave their quarantine and come to their outputs.
struct HealedCounts {
    private(set) var outputs: [OutputCounts]

    init(_ outputs: [OutputCounts]) { self.outputs = outputs }

    /// Records that were quarantined count nowhere any more.
    mutating func leave(_ records: [LeftRecord]) {
        for (place, records) in Dictionary(grouping: records, by: \.place) {
            guard let number = outputs.firstIndex(where: { $0.place == place }) else { continue }
            outputs[number].received -= Int32(records.count)
            outputs[number].quarantined -= Int32(records.count)
            let rows = records.map(\.row)
            outputs[number].count(rows, as: 1, -1)
            if outputs[number].receiptReceived != nil { outputs[number].receive(rows, -1) }
        }
    }

    /// Rows were deleted.
    mutating func drop(_ rows: Int32, of place: ChunkHead.Place) {
        guard let number = outputs.firstIndex(where: { $0.place == place }) else { return }
        outputs[number].stored -= rows
    }

    /// Counts what a chunk brings. Throws `output_moved` where rows would go to another dataset than those that are
    /// there of the output: a replay finds an output's rows by its one dataset. Those of a slice belong to what its run
    /// has filled.
    mutating func add(_ chunk: ChunkHead, _ tried: HealTry) throws(JobFailure) {
        let number = place(of: chunk, tried)
        let isSlice = outputs[number].isSlice
        if outputs[number].datasetID != chunk.datasetID, outputs[number].stored > 0 || isSlice, chunk.rows > 0 {
            throw JobFailure(
                code: "output_moved",
                message: "rows of output \(chunk.output) of batch \(chunk.batchID) are in another dataset than the "
                    + "pipeline's version \(chunk.version) has for it: "
                    + (isSlice ? "run the pipeline again" : "replay the batch"),
                isPermanent: true)
        }
        if outputs[number].stored == 0 { outputs[number].datasetID = chunk.datasetID }
        outputs[number].run = chunk.runPlace?.run
        outputs[number].received += tried.received
        outputs[number].stored += chunk.rows
        outputs[number].filtered += tried.filtered
        outputs[number].quarantined += tried.quarantined
        outputs[number].duplicates += tried.duplicates
        if outputs[number].ends.count > 1, let counts = tried.receiptCounts {
            outputs[number].receiptCounts = outputs[number].counts.adding(counts)
        }
        if let received = outputs[number].receiptReceived {
            if let more = tried.receiptReceived {
                outputs[number].receiptReceived = received.adding(more)
            } else {
                outputs[number].receive(tried.rows, 1)
            }
        }
    }

    /// The chunk's output; one that there has not been is entered. Where a batch has several, each says which requests'
    /// records it has.
    private mutating func place(of chunk: ChunkHead, _ tried: HealTry) -> Int {
        let others = outputs.indices.filter {
            outputs[$0].place.batchID == chunk.batchID && outputs[$0].place.pipelineID == chunk.pipelineID
        }
        if tried.receiptReceived != nil {
            for number in others where outputs[number].receiptReceived == nil {
                let gone = tried.rows
                outputs[number].receiptReceived = outputs[number].widths
                outputs[number].receive(gone, -1)
            }
        }
        if let number = others.first(where: { outputs[$0].place == chunk.place }) { return number }
        let first = others.first.map { outputs[$0] }
        let (ends, isSlice) = (first?.ends ?? [], first?.isSlice ?? false)
        outputs.append(
            OutputCounts(
                place: chunk.place, version: chunk.version, datasetID: isSlice ? first?.datasetID : chunk.datasetID,
                isSlice: isSlice, run: nil, received: 0,
                stored: 0, filtered: 0, quarantined: 0, duplicates: 0, ends: ends,
                receiptReceived: ends.map { _ in 0 }, receiptCounts: nil))
        return outputs.count - 1
    }
}

extension OutputCounts {
    /// How many records each request has.
    fileprivate var widths: [Int32] { zip([0] + ends, ends).map { $1 - $0 } }

    fileprivate var counts: [Int32] { receiptCounts ?? [Int32](repeating: 0, count: ends.count * 3) }

    /// Counts records of the requests as filtered (0), quarantined (1) or duplicates (2).
    fileprivate mutating func count(_ rows: [Int32], as kind: Int, _ step: Int32) {
        guard ends.count > 1 else { return }
        var counts = counts
        for row in rows { counts[3 * ReceiptCounts.receipt(of: row, ends) + kind] += step }
        receiptCounts = counts
    }

    fileprivate mutating func receive(_ rows: [Int32], _ step: Int32) {
        var received = receiptReceived ?? widths
        for row in rows { received[ReceiptCounts.receipt(of: row, ends)] += step }
        receiptReceived = received
    }
}

extension [Int32] {
    fileprivate func adding(_ other: [Int32]) -> [Int32] { zip(self, other).map { $0 + $1 } }
}
