import Records

/// The rows of a batch that a node is computed for.
struct Frame: Sendable {
    let count: Int
    /// The batch's rows in order; nil for all of them.
    let selection: [Int32]?

    init(all count: Int) {
        self.count = count
        selection = nil
    }

    init(_ selection: [Int32]) {
        count = selection.count
        self.selection = selection
    }

    /// The batch's row at a place of this frame.
    func row(_ index: Int) -> Int { selection.map { Int($0[index]) } ?? index }

    /// The frame of some of its rows, given by their places here.
    func narrowed(to places: [Int32]) -> Frame {
        guard let selection else { return Frame(places) }
        return Frame(places.map { selection[Int($0)] })
    }
}

/// One run of compiled expressions over a batch: the rows that have failed, and fields already cast.
///
/// Of each row the first fault counts; its value is NULL from then on. A node is computed only for rows that need it,
/// so that every fault reported here is one PostgreSQL would raise.
struct Evaluation {
    struct CastKey: Hashable {
        let column: Int
        let type: ColumnType
    }

    let batch: RecordBatch
    /// What the current expression computes, for its faults.
    var step: String?
    var column: String?
    private(set) var faults: [RowFault] = []
    private var failed: [UInt8] = []
    /// Whole columns brought to a type, with the faults of the rows where that failed.
    var casts: [CastKey: CastColumn] = [:]

    struct CastColumn {
        let vector: Vector
        let faults: [Int32: Fault]
    }

    init(_ batch: RecordBatch, step: String? = nil) {
        self.batch = batch
        self.step = step
    }

    /// Marks a row of the batch.
    mutating func report(_ fault: Fault, batchRow: Int, column: String? = nil) {
        if failed.isEmpty { failed = [UInt8](repeating: 0, count: batch.rowCount) }
        guard failed[batchRow] == 0 else { return }
        failed[batchRow] = 1
        faults.append(
            RowFault(
                row: batch.rows[batchRow], code: fault.code, step: step, column: column ?? self.column,
                message: fault.message))
    }

    /// Marks the row at a place of a frame; every row, if the place is that of a constant's only entry.
    mutating func report(_ fault: Fault, at index: Int, of frame: Frame, isConstant: Bool = false) {
        guard isConstant else { return report(fault, batchRow: frame.row(index)) }
        for index in 0..<frame.count { report(fault, batchRow: frame.row(index)) }
    }

    /// 1 for each row of the batch that has failed; empty if none has.
    var failedRows: [UInt8] { failed }
}
