import Testing

@testable import Records

/// Cuts a body given in one chunk, or in two at `cut`, or byte by byte.
private func split(
    _ body: [UInt8], _ format: RecordFormat, cut: Int? = nil, single: Bool = false,
    limits: SplitLimits = SplitLimits()
) throws -> BatchFrame {
    var splitter = RecordSplitter(format: format, limits: limits)
    if single {
        for byte in body { try splitter.append([byte]) }
    } else if let cut {
        try splitter.append(body[..<cut])
        try splitter.append(body[cut...])
    } else {
        try splitter.append(body)
    }
    try splitter.finish()
    let frame = splitter.takeFrame() ?? BatchFrame(format: format)
    #expect(splitter.recordCount == frame.recordCount)
    return frame
}

/// The records as strings, after checking that every way to cut the body in chunks gives the same.
private func records(
    _ text: String, _ format: RecordFormat, limits: SplitLimits = SplitLimits(),
    sourceLocation: SourceLocation = #_sourceLocation
) throws -> [String] {
    let body = Array(text.utf8)
    let whole = try split(body, format, limits: limits)
    for cut in 0...body.count {
        #expect(
            try split(body, format, cut: cut, limits: limits) == whole, "cut at \(cut)", sourceLocation: sourceLocation)
    }
    #expect(try split(body, format, single: true, limits: limits) == whole, sourceLocation: sourceLocation)
    let offsets = whole.offsets()
    #expect(offsets.last == whole.bytes.count, sourceLocation: sourceLocation)
    return (0..<whole.recordCount).map { String(decoding: whole.record($0, offsets: offsets), as: UTF8.self) }
}

private func position(_ text: String, _ format: RecordFormat) -> RecordsError.Position? {
    let body = Array(text.utf8)
    var found: [RecordsError.Position?] = []
    for cut in 0...body.count {
        do {
            _ = try split(body, format, cut: cut)
            return nil
        } catch let error as RecordsError {
            found.append(error.position)
        } catch {
            return nil
        }
    }
    return found.allSatisfy { $0 == found[0] } ? found[0] : nil
}

@Suite struct RecordSplitterTests {
    @Test func linesOfNDJSON() throws {
        #expect(try records("", .ndjson) == [])
        #expect(try records("\n \r\n\t\n", .ndjson) == [])
        #expect(try records("{}", .ndjson) == ["{}"])
        #expect(
            try records("{\"a\":1}\n{\"b\":2}\r\n\n  \n {\"c\":3} \n", .ndjson)
                == ["{\"a\":1}", "{\"b\":2}", " {\"c\":3} "])
        #expect(try records("\u{FEFF}{}\n1", .ndjson) == ["{}", "1"])
        #expect(try records("a\rb\n\r\rc\r\r\n", .ndjson) == ["a\rb", "\r\rc\r"])
    }

    @Test func linesLongerThanABlock() throws {
        let lines = (0..<40).map { String(repeating: Character(UnicodeScalar(97 + $0 % 26)!), count: $0 * 7 + 1) }
        #expect(try records(lines.joined(separator: "\n"), .text) == lines)
        #expect(try records(lines.joined(separator: "\r\n") + "\r\n", .text) == lines)
    }

    @Test func arraysAndObjects() throws {
        #expect(try records("", .json) == [])
        #expect(try records(" [ ] ", .json) == [])
        #expect(try records(" {\"a\": [1, {\"b\": \"}\"}]} \n", .json) == ["{\"a\": [1, {\"b\": \"}\"}]}"])
        #expect(
            try records("[{\"a\":1},\n {\"b\":\"x,]}\\\"\"} ,1, \"s\\\\\" ,null,[2,[3]]]", .json)
                == ["{\"a\":1}", "{\"b\":\"x,]}\\\"\"}", "1", "\"s\\\\\"", "null", "[2,[3]]"])
        #expect(try records("\u{FEFF}[{}]", .json) == ["{}"])
        let long = "{\"k\":\"" + String(repeating: "\\\\\\\"}", count: 50) + "\"}"
        #expect(try records("[\(long), \(long)]", .json) == [long, long])
    }

    @Test func bodiesThatAreNoJSONNameTheirPlace() {
        #expect(position("42", .json) == .init(line: 1, column: 1, byte: 0))
        #expect(position("[1,\n,2]", .json) == .init(line: 2, column: 1, byte: 4))
        #expect(position("[1,]", .json) == .init(line: 1, column: 4, byte: 3))
        #expect(position("[{}\n  {}]", .json) == .init(line: 2, column: 3, byte: 6))
        #expect(position("{}\n\nx", .json) == .init(line: 3, column: 1, byte: 4))
        #expect(position("[{}", .json) == .init(line: 1, column: 4, byte: 3))
        #expect(position("{\"a\":\n", .json) == .init(line: 2, column: 1, byte: 6))
        #expect(position("[1}", .json) == .init(line: 1, column: 3, byte: 2))
    }

    @Test func quotedCSV() throws {
        let text = "id,name\r\n1,\"a\r\nb\"\n2,\"c\"\"d\n,\"\r\n\n3,5\" pipe\n4,\"\"\n\"\"\"\",\"x\"\n"
        #expect(
            try records(text, .csv)
                == ["1,\"a\r\nb\"", "2,\"c\"\"d\n,\"", "3,5\" pipe", "4,\"\"", "\"\"\"\",\"x\""])
        #expect(try split(Array(text.utf8), .csv).header == Array("id,name".utf8))
        #expect(try records("\u{FEFF}\"a\nb\",c\n1,2", .csv) == ["1,2"])
        #expect(try split(Array("\u{FEFF}a\n".utf8), .csv).header == [])
        #expect(position("a,b\n1,2\n3,\"x\ny\n", .csv) == .init(line: 3, column: 3, byte: 10))
    }

    @Test func aSpentFramesMemoryIsUsedForTheNext() throws {
        let line = String(repeating: "x", count: 99) + "\n"
        let body = Array(String(repeating: line, count: 2_000).utf8)
        var splitter = RecordSplitter(format: .text)
        var text = ""
        var addresses: [UnsafeRawPointer?] = unsafe []
        for part in 0..<4 {
            // Each ends within a record.
            try splitter.append(body[(part * 50_050)..<min(body.count, (part + 1) * 50_050)])
            guard let taken = splitter.takeFrame() else {
                Issue.record("no frame of part \(part)")
                return
            }
            text += String(decoding: taken.bytes, as: UTF8.self)
            unsafe addresses.append(taken.bytes.withUnsafeBytes { $0.baseAddress })
            splitter.reserve(66_000, reusing: taken)
        }
        #expect(text == String(decoding: body, as: UTF8.self))
        // The first grew to more or less than is asked for.
        #expect(unsafe Set(addresses.dropFirst()).count == 1)
    }

    @Test func everyFrameOfACSVBodyKeepsTheHeader() throws {
        var splitter = RecordSplitter(format: .csv)
        try splitter.append(Array("a,b\n1,2\n3".utf8))
        let early = splitter.takeFrame()
        let first = try #require(early)
        try splitter.append(Array(",4\n".utf8))
        try splitter.finish()
        let late = splitter.takeFrame()
        let second = try #require(late)
        #expect(first.header == second.header && first.header == Array("a,b".utf8))
        #expect(first.bytes == Array("1,2\n".utf8) && second.bytes == Array("3,4\n".utf8))
        let none = splitter.takeFrame()
        #expect(splitter.recordCount == 2 && none == nil)
        var joined = first
        let ordinals = try joined.append(second)
        #expect(ordinals == 1..<2)
        #expect(joined.record(1) == Array("3,4".utf8)[...])
        var other = first
        #expect(throws: RecordsError.self) { try other.append(BatchFrame(format: .csv, header: [1])) }
    }

    @Test(arguments: RecordFormat.allCases)
    func longRecordsAreCutAndHashed(_ format: RecordFormat) throws {
        let long = String(repeating: "x", count: 30)
        let (body, first, last): (String, String, String) =
            switch format {
            case .ndjson: ("1234\n{\"k\":\"\(long)\"}\r\n12345678\r\n", "1234", "12345678")
            case .json: ("[1234,{\"k\":\"\(long)\"} ,12345678]", "1234", "12345678")
            case .csv: ("h\n1234\n{\"k\":\"\(long)\"}\r\n12345678\r\n", "1234", "12345678")
            case .text: ("1234\n{\"k\":\"\(long)\"}\r\n12345678\r\n", "1234", "12345678")
            }
        let limits = SplitLimits(record: 8, header: 100)
        let record = Array("{\"k\":\"\(long)\"}".utf8)
        #expect(
            try records(body, format, limits: limits)
                == [first, String(decoding: record[..<8], as: UTF8.self), last])
        let frame = try split(Array(body.utf8), format, limits: limits)
        var digest = SHA256Digest()
        unsafe record.withUnsafeBytes { unsafe digest.update($0) }
        #expect(
            frame.oversize
                == [.init(index: 1, fullLength: UInt64(record.count), sha256: digest.finish())])
    }

    @Test func storedFramesComeBack() throws {
        var frame = BatchFrame(format: .csv, header: Array("a,b".utf8))
        for i in 0..<1000 { frame.append(record: Array("\(i),x".utf8)) }
        frame.oversize = [.init(index: 5, fullLength: 1 << 40, sha256: [UInt8](repeating: 7, count: 32))]
        let stored = try frame.encode()
        #expect(stored.count < frame.bytes.count)
        #expect(try BatchFrame(decoding: stored, limit: 1 << 20) == frame)
        #expect(throws: RecordsError.self) { try BatchFrame(decoding: stored, limit: 1000) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            var damaged = stored
            damaged[Int.random(in: 0..<damaged.count, using: &generator)] ^= UInt8.random(in: 1...255)
            if let same = try? BatchFrame(decoding: damaged, limit: 1 << 20) { #expect(same == frame) }
            let short = Array(stored.prefix(Int.random(in: 0..<stored.count, using: &generator)))
            #expect(throws: RecordsError.self) { try BatchFrame(decoding: short, limit: 1 << 20) }
        }
        #expect(try BatchFrame(decoding: BatchFrame(format: .text).encode(), limit: 100).recordCount == 0)
    }

    @Test func impossibleFramesAreTurnedDown() throws {
        // Well compressed, yet its counts or lengths lie.
        var plain = Array("MRB1".utf8) + [1, 0, 0, 0]
        plain += [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
        plain += [1, 0, 0, 0, 9, 0, 0, 0, 49, 10, 50, 10]
        let stored = try Zstd.compress(plain)
        #expect(throws: RecordsError.self) { try BatchFrame(decoding: stored, limit: 1 << 20) }
        for at in 8..<28 {
            var other = plain
            other[at] = 0xFF
            let stored = try Zstd.compress(other)
            #expect(throws: RecordsError.self) { try BatchFrame(decoding: stored, limit: 1 << 30) }
        }
    }
}
