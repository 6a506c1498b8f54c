import Records

/// Reads texts of names and values into fields of any name: each text becomes a JSON record, in one pass over the bytes
/// and with nothing allocated for it, and the records are decoded as those of a body are.
enum PairReader: Sendable {
    /// `level=info msg="a \"b\"" took=12ms done`: pairs with white space between them. A quoted value has JSON's
    /// escapes; a bare one ends at white space. `name=` is NULL, `name=""` the empty string, a name alone is `true`.
    case logfmt
    /// `a=1&b=x%20y+z`: percent-decoded (``PercentDecoder``), `+` is a space. A leading `?` is skipped, and so are
    /// empty pairs. A name without `=` has the empty string.
    case queryString

    /// What can be read, as records, the rows that those are of, and what cannot.
    func records(
        of texts: ByteColumn, _ validity: [UInt8]
    ) -> (frame: BatchFrame, rows: [Int], failed: [(row: Int, message: String)]) {
        var frame = BatchFrame(format: .ndjson)
        frame.bytes.reserveCapacity(texts.data.count * 2 + texts.count * 3)
        frame.lengths.reserveCapacity(texts.count)
        var rows: [Int] = []
        rows.reserveCapacity(texts.count)
        var failed: [(row: Int, message: String)] = []
        let data = texts.data.span
        for row in 0..<texts.count where validity[row] != 0 {
            let range = texts.range(row)
            let start = frame.bytes.count
            var place = range.lowerBound
            do throws(MalformedText) {
                try read(data, &place, range.upperBound, into: &frame.bytes)
            } catch {
                frame.bytes.removeLast(frame.bytes.count - start)
                let byte = place - range.lowerBound + 1
                failed.append((row, "not \(name): \(error.message) at byte \(byte)"))
                continue
            }
            frame.lengths.append(UInt32(frame.bytes.count - start))
            frame.bytes.append(0x0A)
            rows.append(row)
        }
        return (frame, rows, failed)
    }

    private var name: String { self == .logfmt ? "logfmt" : "a query string" }

    private func read(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        output.append(UInt8(ascii: "{"))
        switch self {
        case .logfmt:
            while true {
                while place < end, data[place] <= 0x20 { place += 1 }
                guard place < end else { break }
                try Self.logfmtPair(data, &place, end, into: &output)
            }
        case .queryString:
            if place < end, data[place] == UInt8(ascii: "?") { place += 1 }
            while place < end { Self.queryPair(data, &place, end, into: &output) }
        }
        output.append(UInt8(ascii: "}"))
    }
}

// MARK: logfmt

extension PairReader {
    private static func logfmtPair(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        let start = place
        while place < end, data[place] > 0x20, data[place] != UInt8(ascii: "="), data[place] != UInt8(ascii: "\"") {
            place += 1
        }
        guard place > start else { throw MalformedText("expected a name") }
        appendKey(data.extracting(start..<place), into: &output)
        guard place < end, data[place] > 0x20 else {
            output.append(contentsOf: [0x22, 0x74, 0x72, 0x75, 0x65, 0x22])
            return
        }
        guard data[place] == UInt8(ascii: "=") else { throw MalformedText("a quote inside a name") }
        place += 1
        if place < end, data[place] == UInt8(ascii: "\"") { return try quotedValue(data, &place, end, into: &output) }
        let value = place
        while place < end, data[place] > 0x20 {
            guard data[place] != UInt8(ascii: "\"") else { throw MalformedText("a quote inside a bare value") }
            place += 1
        }
        if place == value {
            output.append(contentsOf: [0x6E, 0x75, 0x6C, 0x6C])
        } else {
            JSONText.appendString(data.extracting(value..<place), into: &output)
        }
    }

    private static func appendKey(_ name: Span<UInt8>, into output: inout [UInt8]) {
        if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
        JSONText.appendString(name, into: &output)
        output.append(UInt8(ascii: ":"))
    }

    private static func quotedValue(
        _ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]
    ) throws(MalformedText) {
        let start = place
        place += 1
        output.append(UInt8(ascii: "\""))
        while place < end, data[place] != UInt8(ascii: "\"") {
            if data[place] == UInt8(ascii: "\\") {
                let escape = try escapeLength(data, place, end)
                JSONText.append(data.extracting(place..<place + escape), into: &output)
                place += escape
            } else {
                JSONText.appendStringByte(data[place], into: &output)
                place += 1
            }
        }
        guard place < end else {
            place = start
            throw MalformedText("a quote that is never closed")
        }
        place += 1
        output.append(UInt8(ascii: "\""))
        guard place == end || data[place] <= 0x20 else { throw MalformedText("expected a space after the quote") }
    }

    /// How long a JSON escape is that stands for text: not for U+0000, nor for half a surrogate pair.
    private static func escapeLength(_ data: Span<UInt8>, _ place: Int, _ end: Int) throws(MalformedText) -> Int {
        guard place + 1 < end, "\"\\/bfnrtu".utf8.contains(data[place + 1]) else {
            throw MalformedText("no such escape")
        }
        guard data[place + 1] == UInt8(ascii: "u") else { return 2 }
        let unit = try codeUnit(data, place, end)
        guard unit != 0 else { throw MalformedText("the character U+0000, which cannot be stored,") }
        guard unit & 0xF800 == 0xD800 else { return 6 }
        guard unit < 0xDC00, place + 7 < end, data[place + 6] == UInt8(ascii: "\\"),
            data[place + 7] == UInt8(ascii: "u"), try codeUnit(data, place + 6, end) & 0xFC00 == 0xDC00
        else { throw MalformedText("half of a surrogate pair") }
        return 12
    }

    private static func codeUnit(_ data: Span<UInt8>, _ place: Int, _ end: Int) throws(MalformedText) -> UInt16 {
        guard place + 6 <= end else { throw MalformedText("no such escape") }
        var unit: UInt16 = 0
        for index in place + 2..<place + 6 {
            guard let digit = PercentDecoder.hex(data[index]) else { throw MalformedText("no such escape") }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }
}

// MARK: Query strings

extension PairReader {
    private static func queryPair(_ data: Span<UInt8>, _ place: inout Int, _ end: Int, into output: inout [UInt8]) {
        let start = place
        var equals: Int?
        while place < end, data[place] != UInt8(ascii: "&") {
            if equals == nil, data[place] == UInt8(ascii: "=") { equals = place }
            place += 1
        }
        let stop = place
        if place < end { place += 1 }
        guard stop > start else { return }
        if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
        appendDecoded(data.extracting(start..<(equals ?? stop)), into: &output)
        output.append(UInt8(ascii: ":"))
        appendDecoded(data.extracting(min((equals ?? stop) + 1, stop)..<stop), into: &output)
    }

    /// A decoded part as a JSON string.
    private static func appendDecoded(_ text: Span<UInt8>, into output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        let start = output.count
        PercentDecoder.append(text, plusIsSpace: true, into: &output)
        JSONText.escapeString(from: start, in: &output)
        output.append(UInt8(ascii: "\""))
    }
}
