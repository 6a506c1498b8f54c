import JSON
import Postgres
import Records

/// Writes an answer row by row, in one of the formats.
struct ResultWriter: Sendable {
    let layout: AnswerLayout
    let columns: [ResultColumn]
    let numbers: NumberStyle
    /// What has been written and not been taken.
    private(set) var bytes: [UInt8] = []
    private(set) var rowCount = 0
    /// All that has been written, in bytes.
    private var taken = 0
    /// Each column's name as a JSON key, colon included.
    private let keys: [[UInt8]]

    init(_ layout: AnswerLayout, _ columns: [ResultColumn], _ numbers: NumberStyle) {
        self.layout = layout
        self.columns = columns
        self.numbers = numbers
        keys = columns.map { column in
            var key: [UInt8] = []
            JSONText.appendString(column.name.utf8.span, into: &key)
            return key + [0x3A]
        }
        begin()
    }

    /// The size of the answer so far.
    var total: Int { taken + bytes.count }

    /// Takes what has been written since the last call.
    mutating func take() -> [UInt8] {
        var piece: [UInt8] = []
        swap(&piece, &bytes)
        taken += piece.count
        return piece
    }

    private mutating func begin() {
        switch layout {
        case .table:
            bytes.append(contentsOf: #"{"columns":["#.utf8)
            for (index, column) in columns.enumerated() {
                bytes.append(contentsOf: (index == 0 ? #"{"name":"# : #",{"name":"#).utf8)
                JSONText.appendString(column.name.utf8.span, into: &bytes)
                bytes.append(contentsOf: #","type":"#.utf8)
                JSONText.appendString(column.type.utf8.span, into: &bytes)
                bytes.append(0x7D)
            }
            bytes.append(contentsOf: #"],"rows":["#.utf8)
        case .items: bytes.append(contentsOf: #"{"items":["#.utf8)
        case .csv:
            for (index, column) in columns.enumerated() {
                if index > 0 { bytes.append(0x2C) }
                CSVText.append(column.name.utf8.span, into: &bytes)
            }
            bytes.append(0x0A)
        case .ndjson: break
        }
    }

    mutating func append(_ row: PostgresRow) {
        switch layout {
        case .table:
            if rowCount > 0 { bytes.append(0x2C) }
            bytes.append(0x5B)
            for index in columns.indices {
                if index > 0 { bytes.append(0x2C) }
                appendJSON(row, index)
            }
            bytes.append(0x5D)
        case .items:
            if rowCount > 0 { bytes.append(0x2C) }
            appendObject(row)
        case .ndjson:
            appendObject(row)
            bytes.append(0x0A)
        case .csv:
            for index in columns.indices {
                if index > 0 { bytes.append(0x2C) }
                _ = row.withSpan(index) { ValueText.appendCSV($0, columns[index].shape, into: &bytes) }
            }
            bytes.append(0x0A)
        }
        rowCount += 1
    }

    private mutating func appendObject(_ row: PostgresRow) {
        bytes.append(0x7B)
        for index in columns.indices {
            if index > 0 { bytes.append(0x2C) }
            bytes.append(contentsOf: keys[index])
            appendJSON(row, index)
        }
        bytes.append(0x7D)
    }

    private mutating func appendJSON(_ row: PostgresRow, _ index: Int) {
        let value: Void? = row.withSpan(index) { text in
            ValueText.appendJSON(text, columns[index].shape, numbers, into: &bytes)
        }
        if value == nil { bytes.append(contentsOf: "null".utf8) }
    }

    /// Ends the answer: nothing may be appended afterwards.
    mutating func end(truncated: Bool, elapsed: Duration) {
        guard layout.isDocument else { return }
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("row_count", rowCount)
            writer.member("truncated", truncated)
            // Where the same rows are to be the same answer, the time that they took is no part of it.
            if layout == .table {
                writer.member("elapsed_ms", .number((elapsed / .milliseconds(1) * 1000).rounded() / 1000))
            }
        }
        bytes.append(contentsOf: "],".utf8)
        bytes.append(contentsOf: writer.bytes.dropFirst())
    }

    /// The last line of NDJSON that broke off.
    static func errorLine(_ problem: [UInt8]) -> [UInt8] {
        Array(#"{"error":"#.utf8) + problem + [0x7D, 0x0A]
    }
}
