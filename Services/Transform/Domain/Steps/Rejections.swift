import Records

/// Rows that a step turns down, each for the first reason that it gave.
struct Rejections {
    private let rows: [Int32]
    private let place: String
    /// 1 for each row that is turned down; empty while there is none.
    private(set) var marks: [UInt8] = []
    private(set) var faults: [RowFault] = []

    init(_ batch: RecordBatch, _ context: StepContext) {
        rows = batch.rows
        place = context.place
    }

    mutating func add(_ row: Int, code: String, column: String, _ message: String) {
        add(row, RowFault(row: rows[row], code: code, step: place, column: column, message: message))
    }

    /// The column as a type; rows whose values are not of it are turned down.
    mutating func cast(_ column: Column, to type: ColumnType, name: String) -> Column {
        let result = column.cast(to: type, rows: rows, name: name, step: place)
        for (row, fault) in zip(result.failed, result.faults) { add(row, fault) }
        return result.column
    }

    private mutating func add(_ row: Int, _ fault: RowFault) {
        if marks.isEmpty { marks = [UInt8](repeating: 0, count: rows.count) }
        guard marks[row] == 0 else { return }
        marks[row] = 1
        faults.append(fault)
    }
}

extension Column {
    /// The values of another column of the same type in marked rows, its own in the others.
    func overlaid(by other: Column, where marks: [UInt8]) -> Column {
        guard marks.contains(1) else { return self }
        guard marks.contains(0) else { return other }
        var both = self
        precondition(both.append(other), "columns of one type")
        return both.gathered(marks.indices.map { marks[$0] != 0 ? count + $0 : $0 })
    }
}
