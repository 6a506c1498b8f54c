import Records

/// Records that lay inside a column, decoded as those of a body are: their fields are columns as long as that one.
struct NestedRecords {
    var columns: [NamedColumn]
    /// Fields that have no column of their own.
    var extra: Column?
    var extraNames: [String] = []
    /// The rows that could not be decoded, with why.
    var failed: [(row: Int, message: String)]

    init(columns: [NamedColumn], failed: [(row: Int, message: String)]) {
        self.columns = columns
        self.failed = failed
    }

    /// Decodes each text by itself; a NULL has no fields.
    init(_ texts: ByteColumn, _ validity: [UInt8], _ format: RecordFormat, header: [UInt8] = []) {
        var frame = BatchFrame(format: format, header: header)
        frame.bytes.reserveCapacity(texts.data.count + texts.count)
        let present = (0..<texts.count).filter { validity[$0] != 0 }
        for row in present { frame.append(record: texts[row]) }
        self.init(frame, rows: present, count: texts.count)
    }

    /// - Parameters:
    ///   - rows: where each of the frame's records goes, in a column of `count` rows.
    init(_ frame: BatchFrame, rows: [Int], count: Int) {
        let decoded: (batch: RecordBatch, faults: [RowFault])
        do throws(RecordsError) {
            decoded = try RecordDecoder().decode(frame)
        } catch {
            columns = []
            failed = rows.map { ($0, error.message) }
            return
        }
        // Rows that could not be decoded, and those without a record, take a row of missing fields from the end.
        let last = decoded.batch.rowCount
        var places = [Int](repeating: last, count: count)
        for (place, ordinal) in decoded.batch.rows.enumerated() { places[rows[Int(ordinal)]] = place }
        let isWhole = last == count
        func spread(_ column: Column) -> Column {
            if isWhole { return column }
            var column = column
            let none: Column =
                switch column.type {
                case .untyped: Column(untyped: VariantColumn(kinds: [0], payloads: [0]))
                case .typed(let type): .nulls(type, count: 1)
                }
            _ = column.append(none)
            return column.gathered(places)
        }
        columns = decoded.batch.columns.map { NamedColumn($0.name, spread($0.column)) }
        extra = decoded.batch.extra.map(spread)
        extraNames = decoded.batch.extraNames
        failed = decoded.faults.map { (rows[Int($0.row)], $0.message) }
    }
}
