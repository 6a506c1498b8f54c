/// The header row of a CSV body: its fields are the columns' names.
enum CSVHeader {
    /// Two fields with the same name.
    struct Repetition {
        var name: [UInt8]
        /// Their numbers, from 1.
        var first: Int
        var second: Int
        /// Where the second one begins in the row.
        var offset: Int

        var message: String {
            let fields = "fields \(first) and \(second)"
            if name.isEmpty { return "the header row leaves two columns without a name: \(fields)" }
            return "the header row names \"\(String(decoding: name.prefix(64), as: UTF8.self))\" twice: \(fields)"
        }
    }

    /// The first name that comes again, compared by its bytes; nil if none does.
    static func repetition(in row: [UInt8]) -> Repetition? {
        var numbers: [[UInt8]: Int] = [:]
        var at = 0
        var number = 1
        while at <= row.count {
            let offset = at
            let name = takeField(row, &at)
            if let first = numbers.updateValue(number, forKey: name) {
                return Repetition(name: name, first: first, second: number, offset: offset)
            }
            number += 1
        }
        return nil
    }

    /// Whether the row has a carriage return that no line feed follows.
    static func hasLoneReturn(_ row: [UInt8]) -> Bool {
        row.indices.contains { row[$0] == 0x0D && (row[$0...].dropFirst().first ?? 0) != 0x0A }
    }

    /// The name at a place, which moves behind the comma that follows it, or beyond the row's end. What follows a
    /// closing quote is left out of the name.
    private static func takeField(_ row: [UInt8], _ at: inout Int) -> [UInt8] {
        var name: [UInt8] = []
        if at < row.count, row[at] == 0x22 {
            at += 1
            while at < row.count {
                if row[at] == 0x22 {
                    at += 1
                    guard at < row.count, row[at] == 0x22 else { break }
                }
                name.append(row[at])
                at += 1
            }
            while at < row.count, row[at] != 0x2C { at += 1 }
        } else {
            let start = at
            while at < row.count, row[at] != 0x2C { at += 1 }
            name = Array(row[start..<at])
        }
        at += 1
        return name
    }
}
