import JSON
import TestSupport
import Testing

@testable import Records

/// Runs the same for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// One of the items, of which there are some.
    mutating func pick<Item>(_ items: [Item]) -> Item { items[Int.random(in: items.indices, using: &self)] }
}

private let pieces: [String] = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d\\ude00", "\\u0000", "\n", "\r\n", " ", "\"a\"", "\"b\":",
    "1", "-", "0", ".5", "e9", "true", "null", "false", "é", "日", "\"\"", "2026-11-20T10:00:00Z", "x", "\t",
    "{\"a\":1}",
    "{\"a\":\"x\",\"b\":[1,2]}", "9223372036854775807",
]

private func body(_ generator: inout SeededGenerator) -> [UInt8] {
    var body: [UInt8] = []
    for _ in 0..<Int.random(in: 0...40, using: &generator) {
        if Int.random(in: 0..<20, using: &generator) == 0 {
            body.append(UInt8.random(in: 0...255, using: &generator))
        } else {
            body += pieces.randomElement(using: &generator)?.utf8.map { $0 } ?? []
        }
    }
    return body
}

@Suite struct FuzzTests {
    @Test(arguments: RecordFormat.allCases)
    func anyBodyIsCutDecodedCastAndEncoded(_ format: RecordFormat) throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        for _ in 0..<1500 {
            let body = body(&generator)
            let chunks = Int.random(in: 1...4, using: &generator)
            var whole = RecordSplitter(format: format, limits: SplitLimits(record: 64, header: 64))
            var parts = whole
            let one = Result { () throws(RecordsError) in
                try whole.append(body)
                try whole.finish()
            }
            let other = Result { () throws(RecordsError) in
                let step = max(1, body.count / chunks)
                for start in stride(from: 0, to: body.count, by: step) {
                    try parts.append(body[start..<min(body.count, start + step)])
                }
                try parts.finish()
            }
            switch (one, other) {
            case (.success, .success): break
            case (.failure(let a), .failure(let b)): #expect(a == b, "seed \(seed)")
            default: Issue.record("chunks change the outcome, seed \(seed): \(one) \(other)")
            }
            let frames = (whole.takeFrame(), parts.takeFrame())
            guard case .success = one, let frame = frames.0 else { continue }
            #expect(frames.0 == frames.1, "seed \(seed)")
            try process(frame, seed)
        }
    }

    private func process(_ frame: BatchFrame, _ seed: UInt64) throws {
        let (decoded, faults) = try RecordDecoder().decode(frame)
        #expect(decoded.rowCount + faults.count == frame.recordCount, "seed \(seed)")
        var batch = decoded
        for (index, named) in decoded.columns.enumerated() {
            let type = ColumnInference.infer(named.column) ?? .text
            let cast = named.column.cast(to: type, rows: decoded.rows, name: named.name)
            #expect(cast.faults == [], "seed \(seed): \(named.name) was taken for \(type): \(cast.faults)")
            batch.columns[index].column = cast.column
            for other in ColumnType.allCases {
                let result = named.column.cast(to: other, rows: decoded.rows, name: named.name)
                #expect(result.column.count == decoded.rowCount && result.faults.count == result.failed.count)
            }
            for row in 0..<decoded.rowCount {
                var text: [UInt8] = []
                cast.column.appendJSON(row, into: &text)
                #expect(JSONText.check(text.span) == nil, "seed \(seed): \(String(decoding: text, as: UTF8.self))")
            }
        }
        let rows = try CopyBinaryRows(CopyBinaryEncoder(batch: 1, output: 2).encode(batch))
        #expect(rows.count == batch.rowCount, "seed \(seed)")
    }

    @Test func recordsAreJudgedAsJSONValueJudgesThem() throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        for _ in 0..<4000 {
            let text = body(&generator)
            let fault = JSONText.check(text.span)
            let parsed = try? JSONValue.parse(text)
            if fault == nil {
                #expect(parsed != nil, "seed \(seed): \(String(decoding: text, as: UTF8.self))")
            } else if parsed != nil {
                #expect(
                    ["nul_character", "number_out_of_range", "lone_surrogate"].contains(fault?.code ?? ""),
                    "seed \(seed): \(String(decoding: text, as: UTF8.self)) \(fault?.message ?? "")")
            }
        }
    }

    @Test func damagedChunksNeverTrap() throws {
        let seed = TestSeed.next()
        var generator = SeededGenerator(state: seed)
        let batch = try RecordDecoder().decode(frame(.ndjson, (0..<20).map { #"{"a":\#($0),"b":"x"}"# })).batch
        let typed = RecordBatch(
            rows: batch.rows,
            columns: batch.columns.map {
                NamedColumn($0.name, $0.column.cast(to: .text, rows: batch.rows, name: $0.name).column)
            })
        let bytes = try CopyBinaryEncoder(batch: 1, output: 2).encode(typed)
        #expect(try CopyBinaryRows(bytes).count == 20)
        for _ in 0..<2000 {
            var damaged = bytes
            damaged[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            let rows = try? CopyBinaryRows(Array(damaged.prefix(Int.random(in: 0...bytes.count, using: &generator))))
            if let rows { for row in 0..<rows.count { _ = rows.lineage(row) } }
        }
    }
}
