import Records

/// Rows as lines of text.
extension RecordBatch {
    /// CSV's header row with the columns' names (RFC 4180).
    func csvHeader() -> [UInt8] {
        let names = Column(.text, .bytes(ByteColumn(columns.map(\.name))))
        var output: [UInt8] = []
        for place in 0..<names.count {
            if place > 0 { output.append(UInt8(ascii: ",")) }
            names.appendCSV(place, into: &output)
        }
        return output + [0x0D, 0x0A]
    }

    /// A line a row.
    func csvLines() -> [UInt8] {
        var output: [UInt8] = []
        for row in 0..<rowCount {
            for (place, named) in columns.enumerated() {
                if place > 0 { output.append(UInt8(ascii: ",")) }
                named.column.appendCSV(row, into: &output)
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
