import Records
import Testing

struct BatchFrameErasingTests {
    @Test("Erased records keep their places, and nothing of them is left", arguments: RecordFormat.allCases)
    func places(format: RecordFormat) throws {
        var frame = BatchFrame(format: format, header: format == .csv ? Array("a".utf8) : [])
        let records = ["first", "ada", "", "ada again", "last"]
        for record in records { frame.append(record: Array(record.utf8)) }
        frame.oversize = [0, 1, 3].map {
            BatchFrame.Oversize(index: $0, fullLength: 9, sha256: [UInt8](repeating: 7, count: 32))
        }
        let erased = frame.erasing([1, 3])
        #expect(erased.recordCount == 5 && erased.erased == [1, 2, 3])
        for (place, record) in records.enumerated() {
            #expect(Array(erased.record(place)) == ([1, 3].contains(place) ? [] : Array(record.utf8)))
        }
        #expect(erased.oversize.map(\.index) == [0])
        #expect(erased.header == frame.header)
        #expect(try BatchFrame(decoding: erased.encode(), limit: 1 << 20) == erased)
        #expect(frame.erasing([]) == frame)
    }
}
