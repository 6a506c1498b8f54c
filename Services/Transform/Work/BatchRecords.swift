import Records

/// Records of a batch that are run through a pipeline: all of them, or some that keep their ordinals.
struct BatchRecords: Sendable {
    var frame: BatchFrame
    /// Of each record in the frame its ordinal in the batch, ascending; nil where the frame is the whole batch.
    var ordinals: [Int32]?
    /// Those of the dataset that the records were rows of; nil for records that came in.
    var columns: [TableColumn]?

    /// The rows, and the faults of records that are none, by the ordinals in the batch; without the records that were
    /// erased.
    func decode() throws -> (batch: RecordBatch, faults: [RowFault]) {
        var (batch, faults) =
            if let columns {
                try TableRecord.decode(frame, columns.map { ($0.name, $0.type) })
            } else {
                try RecordDecoder().decode(frame)
            }
        if frame.lengths.contains(0) {
            batch.keep(batch.rows.map { frame.lengths[Int($0)] > 0 ? 1 : 0 })
            faults.removeAll { frame.lengths[Int($0.row)] == 0 }
        }
        if let ordinals {
            batch.rows = batch.rows.map { ordinals[Int($0)] }
            for place in faults.indices { faults[place].row = ordinals[Int(faults[place].row)] }
        }
        return (batch, faults)
    }

    /// Ordinals in the batch of the records that were erased.
    var erased: [Int32] {
        frame.erased.map { place in ordinals.map { $0[Int(place)] } ?? place }
    }

    /// Gives the bytes of records by their ordinals in the batch.
    var bytes: (Int32) -> [UInt8] {
        let offsets = frame.offsets()
        let places = ordinals.map { Dictionary(uniqueKeysWithValues: zip($0, $0.indices)) }
        return { ordinal in Array(frame.record(places?[ordinal] ?? Int(ordinal), offsets: offsets)) }
    }
}
