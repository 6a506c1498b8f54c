import Records

/// What was wrong with a text, where reading it stopped.
struct MalformedText: Error {
    let message: StaticString

    init(_ message: StaticString) { self.message = message }
}

/// Reads texts of one format into columns of its own, one pass over the bytes. Nothing is allocated for a text but the
/// message of one that is malformed.
protocol LineReader {
    /// As messages name the format.
    var format: String { get }
    /// The columns that are filled by each text.
    static var texts: [WritableKeyPath<Self, TextBuilder>] { get }
    static var numbers: [WritableKeyPath<Self, IntBuilder>] { get }
    /// The rows that could not be read, with why and the byte, counted from 1.
    var failed: [(row: Int, message: String)] { get set }
    /// The columns, once all texts have been read.
    var columns: [NamedColumn] { get }

    /// Appends a value to every column from the text between `place` and `end`; moves `place` on as it reads.
    mutating func read(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText)
}

extension LineReader {
    /// Reads every text; a NULL gives NULLs, a malformed one too, and is in `failed`.
    mutating func read(_ lines: ByteColumn, validity: [UInt8]) {
        let data = lines.data.span
        for row in 0..<lines.count {
            if validity[row] != 0 {
                let range = lines.range(row)
                var place = range.lowerBound
                do throws(MalformedText) {
                    try read(data, &place, range.upperBound)
                    continue
                } catch {
                    let byte = place - range.lowerBound + 1
                    failed.append((row, "not \(format): \(error.message) at byte \(byte)"))
                }
            }
            for text in Self.texts {
                self[keyPath: text].truncate(row)
                self[keyPath: text].appendNull()
            }
            for number in Self.numbers {
                self[keyPath: number].truncate(row)
                self[keyPath: number].append(nil)
            }
        }
    }
}

/// Steps that readers of many formats share.
enum TextScan {
    static let space = UInt8(ascii: " ")

    static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    static func isLetter(_ byte: UInt8) -> Bool { (byte | 0x20) &- 0x61 < 26 }

    static func takeSpace(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) {
        guard place < end, data[place] == space else { throw MalformedText("expected a space") }
        place += 1
    }

    /// The text up to the next space, or to the end.
    static func word(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) -> Range<Int> {
        let start = place
        while place < end, data[place] != space { place += 1 }
        return start..<place
    }

    /// Whether the text is `-` alone, which many formats write for nothing.
    static func isDash(_ data: Span<UInt8>, _ range: Range<Int>) -> Bool {
        range.count == 1 && data[range.lowerBound] == UInt8(ascii: "-")
    }

    /// A number of up to 18 digits; nil without any.
    static func number(_ data: Span<UInt8>, _ place: inout Int, _ end: Int) throws(MalformedText) -> Int64? {
        let start = place
        var value: Int64 = 0
        while place < end, isDigit(data[place]) {
            guard place - start < 18 else { throw MalformedText("a number too large") }
            value = value * 10 + Int64(data[place] &- 0x30)
            place += 1
        }
        return place > start ? value : nil
    }

    /// Two digits at a place that is there; nil for anything else.
    static func two(_ data: Span<UInt8>, _ place: Int) -> Int? {
        let (high, low) = (data[place] &- 0x30, data[place + 1] &- 0x30)
        return high < 10 && low < 10 ? Int(high) * 10 + Int(low) : nil
    }

    /// The month, from 1, whose English name begins with three bytes at a place that is there.
    static func month(_ data: Span<UInt8>, _ place: Int) -> Int? {
        let name = UInt32(data[place]) << 16 | UInt32(data[place + 1]) << 8 | UInt32(data[place + 2])
        return months.firstIndex(of: name).map { $0 + 1 }
    }

    /// `Jan` to `Dec`, three bytes each.
    private static let months: [UInt32] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ].map { $0.utf8.reduce(0) { $0 << 8 | UInt32($1) } }

    /// Days since 2000-01-01 of a date in the Gregorian calendar; nil if there is none.
    static func days(year: Int, month: Int, day: Int) -> Int? {
        guard year > 0, (1...12).contains(month), day >= 1,
            day <= CivilDate.daysInMonth(year: year, month: month)
        else { return nil }
        return CivilDate.days(year: year, month: month, day: day)
    }
}
