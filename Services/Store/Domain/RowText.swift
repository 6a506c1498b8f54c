import Records

/// Rows as lines of text.
extension RecordBatch {
    /// CSV's header row with the columns' names (RFC 4180).
    func csvHeader() -> [UInt8] {
        var output: [UInt8] = []
        for (place, named) in columns.enumerated() {
            if place > 0 { output.append(UInt8(ascii: ",")) }
            CSVText.append(named.name.utf8.span, into: &output)
        }
        return output + [0x0D, 0x0A]
    }

    /// A line a row.
    func csvLines() -> [UInt8] {
        let fields = columns.map { $0.column.csvFields() }
        var output: [UInt8] = []
        output.reserveCapacity(fields.reduce(rowCount * (fields.count + 1)) { $0 + $1.data.count })
        for row in 0..<rowCount {
            for (place, values) in fields.enumerated() {
                if place > 0 { output.append(UInt8(ascii: ",")) }
                JSONText.append(values.data.span.extracting(values.range(row)), into: &output)
            }
            output.append(0x0D)
            output.append(0x0A)
        }
        return output
    }

    /// An object a line.
    func ndjsonLines(numbers: NumberStyle) -> [UInt8] {
        var output: [UInt8] = []
        for row in 0..<rowCount {
            appendJSON(row, numbers: numbers, into: &output)
            output.append(0x0A)
        }
        return output
    }
}
