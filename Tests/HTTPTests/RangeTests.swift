import HTTP
import Testing

@Suite struct RangeTests {
    private func ranges(_ text: String) -> ByteRangeSet? { ByteRangeSet(Array(text.utf8)[...]) }

    @Test(
        arguments: [
            ("bytes=0-499", [.octets(first: 0, last: 499)]), ("bytes=500-", [.from(500)]),
            ("bytes=-500", [.suffix(500)]), ("BYTES=0-0", [.octets(first: 0, last: 0)]), ("bytes=-0", [.suffix(0)]),
            ("bytes=0-0,-1", [.octets(first: 0, last: 0), .suffix(1)]),
            ("bytes= 1-2 ,\t5- , -7", [.octets(first: 1, last: 2), .from(5), .suffix(7)]),
            ("bytes=,,1-2,,", [.octets(first: 1, last: 2)]), ("bytes=007-08", [.octets(first: 7, last: 8)]),
            ("bytes=0-99999999999999999999999", [.octets(first: 0, last: Int.max)]),
            ("bytes=99999999999999999999999-", [.from(Int.max)]),
            ("bytes=-99999999999999999999999", [.suffix(Int.max)]),
        ] as [(String, [ByteRangeSet.Spec])])
    func reads(_ text: String, _ specs: [ByteRangeSet.Spec]) {
        #expect(ranges(text)?.specs == specs)
    }

    @Test(arguments: [
        "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=2-1", "bytes=a-b", "bytes=1", "bytes=1-2-3", "bytes=0x1-2",
        "bytes=+1-2", "bytes=1- 2", "bytes=--1", "bytes =0-1", "byte=0-1", "items=0-1", "bytes=0-1;2-3", "bytes=0-1, x",
        "bytes=0-1,5-4", "=0-1", "0-1", "bytes=\u{661}-2",
    ])
    func ignoresWhatIsMalformed(_ text: String) {
        #expect(ranges(text) == nil)
    }

    @Test func ignoresMoreThanThereMayBe() {
        let many = (0..<ByteRangeSet.limit).map { "\($0)-\($0)" }.joined(separator: ",")
        #expect(ranges("bytes=\(many)")?.specs.count == ByteRangeSet.limit)
        #expect(ranges("bytes=\(many),99-99") == nil)
        #expect(ranges("bytes=0-1" + String(repeating: ",", count: 3000)) == nil)
    }

    @Test func aRepeatedFieldIsIgnored() throws {
        let once = try HTTPRequestHead(.get, "/", headers: ["Range": "bytes=0-1"])
        let twice = try HTTPRequestHead(.get, "/", headers: ["Range": "bytes=0-1", "range": "bytes=0-1"])
        #expect(ByteRangeSet(once) != nil && ByteRangeSet(twice) == nil)
    }

    /// Of 10,000 octets, unless the length is given.
    @Test(
        arguments: [
            ("0-499", 10_000, .parts([0..<500])), ("9500-", 10_000, .parts([9500..<10_000])),
            ("-500", 10_000, .parts([9500..<10_000])), ("0-", 10_000, .parts([0..<10_000])),
            ("9999-", 10_000, .parts([9999..<10_000])), ("9999-20000", 10_000, .parts([9999..<10_000])),
            ("-20000", 10_000, .parts([0..<10_000])), ("0-9999", 10_000, .parts([0..<10_000])),
            ("10000-", 10_000, .unsatisfiable), ("10000-10001", 10_000, .unsatisfiable), ("-0", 10_000, .unsatisfiable),
            ("-0,20000-", 10_000, .unsatisfiable), ("-0,20000-,5-5", 10_000, .parts([5..<6])),
            ("0-", 0, .unsatisfiable), ("0-0", 0, .unsatisfiable), ("-5", 0, .whole), ("-0", 0, .unsatisfiable),
            ("0-0", 1, .parts([0..<1])), ("-1", 1, .parts([0..<1])),
            // Apart from each other, in the order that was asked for.
            ("0-0,-1", 10_000, .parts([0..<1, 9999..<10_000])),
            ("5000-5001,0-1", 10_000, .parts([5000..<5002, 0..<2])),
            // Overlapping, adjacent, near.
            ("0-499,400-999", 10_000, .parts([0..<1000])), ("0-499,500-999", 10_000, .parts([0..<1000])),
            ("0-99,227-300", 10_000, .parts([0..<301])), ("0-99,229-300", 10_000, .parts([0..<100, 229..<301])),
            ("400-999,5000-,0-499", 10_000, .parts([0..<1000, 5000..<10_000])),
            ("0-9,1000-1009,5000-5009,500-1500,5-600", 10_000, .parts([0..<1501, 5000..<5010])),
            ("2000-2009,4000-4009,0-10000,6000-", 10_000, .parts([0..<10_000])),
            ("0-,0-,0-,0-", 10_000, .parts([0..<10_000])),
            ("0-99999999999999999999999", 10_000, .parts([0..<10_000])),
        ] as [(String, Int, ByteRangeSet.Selection)])
    func selects(_ text: String, _ length: Int, _ selection: ByteRangeSet.Selection) throws {
        #expect(try #require(ranges("bytes=\(text)")).select(from: length) == selection)
    }

    /// Whatever is asked for, the parts lie within the content, apart from each other, and hold every octet asked for.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func partsCoverWhatWasAskedFor(_ seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        for _ in 0..<100 {
            let length = Int.random(in: 1...3000, using: &random)
            let asked = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                let first = Int.random(in: 0..<length, using: &random)
                return first..<Int.random(in: first..<length, using: &random) + 1
            }
            let text = asked.map { "\($0.lowerBound)-\($0.upperBound - 1)" }.joined(separator: ",")
            guard case .parts(let parts) = try #require(ranges("bytes=\(text)")).select(from: length) else {
                Issue.record("\(text) of \(length) selects nothing")
                continue
            }
            for (index, part) in parts.enumerated() {
                #expect(!part.isEmpty && part.upperBound <= length)
                #expect(parts[(index + 1)...].allSatisfy { !$0.overlaps(part) }, "\(text) of \(length)")
            }
            for range in asked {
                #expect(parts.contains { $0.lowerBound <= range.lowerBound && range.upperBound <= $0.upperBound })
            }
        }
    }

    @Test func writesContentRange() {
        #expect(ContentRange.text(0..<500, of: 1234) == "bytes 0-499/1234")
        #expect(ContentRange.text(1233..<1234, of: 1234) == "bytes 1233-1233/1234")
        #expect(ContentRange.unsatisfied(length: 1234) == "bytes */1234")
    }

    @Test func putsPartsTogether() {
        let multipart = MultipartByteRanges([0..<2, 7..<9], of: 9, type: "text/plain", boundary: "b")
        let body =
            multipart.ranges.map { String(decoding: multipart.heading(of: $0), as: UTF8.self) + "xx" }.joined()
            + String(decoding: multipart.closing, as: UTF8.self)
        #expect(
            body == """
                \r\n--b\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/9\r\n\r\nxx\
                \r\n--b\r\ncontent-type: text/plain\r\ncontent-range: bytes 7-8/9\r\n\r\nxx\
                \r\n--b--\r\n
                """)
        #expect(multipart.contentLength == body.utf8.count)
        #expect(multipart.contentType == "multipart/byteranges; boundary=b")
    }

    @Test func boundariesDifferAndAreTokens() {
        var random = SplitMix64(state: 1)
        let boundaries = (0..<100).map { _ in MultipartByteRanges.boundary(&random) }
        #expect(Set(boundaries).count == 100)
        #expect(boundaries.allSatisfy { $0.utf8.count == 32 && $0.allSatisfy(\.isHexDigit) })
    }
}

extension SplitMix64: RandomNumberGenerator {}
