import Testing

@testable import Records

private func expand(_ coding: ContentCoding, _ chunks: [[UInt8]], limit: Int = 1 << 20) throws -> [UInt8] {
    let decompressor = Decompressor(coding, limit: limit)
    var output: [UInt8] = []
    for chunk in chunks {
        decompressor.push(chunk)
        while let piece = try decompressor.pull() {
            #expect(!piece.isEmpty && piece.count <= Decompressor.pieceBytes)
            output += piece
        }
    }
    try decompressor.finish()
    return output
}

/// "hello hello hello\n", compressed by the reference tools.
private let hello = Array("hello hello hello\n".utf8)
private let deflated: [UInt8] = [0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x57, 0xC8, 0x40, 0x90, 0x5C, 0x00]
private let zlib: [UInt8] = [0x78, 0x9C] + deflated + [0x40, 0xB5, 0x06, 0x87]
private let gzip: [UInt8] =
    [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + deflated + [0x3B, 0x7C, 0x8A, 0xDF, 0x12, 0, 0, 0]

@Suite struct DecompressorTests {
    @Test func zstdBodies() throws {
        let body = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 / 1000) }
        let stored = try Zstd.compress(body)
        #expect(try Zstd.decompress(stored, limit: body.count) == body)
        #expect(throws: RecordsError.self) { try Zstd.decompress(stored, limit: body.count - 1) }
        #expect(throws: RecordsError.self) { try Zstd.decompress(stored + [0], limit: body.count + 1) }
        #expect(try expand(.zstd, [stored], limit: body.count) == body)
        #expect(try expand(.zstd, stored.map { [$0] }, limit: body.count) == body)
        #expect(try expand(.zstd, [stored + stored], limit: 2 * body.count) == body + body)
        let error = #expect(throws: RecordsError.self) { try expand(.zstd, [stored], limit: body.count - 1) }
        #expect(error?.code == .expandedTooLarge)
        let short = #expect(throws: RecordsError.self) { try expand(.zstd, [Array(stored.dropLast())], limit: 1 << 22) }
        #expect(short?.code == .corruptCompression)
        #expect(throws: RecordsError.self) { try expand(.zstd, [[1, 2, 3, 4, 5, 6, 7, 8]]) }
    }

    @Test func emptyBodies() throws {
        for coding in ContentCoding.allCases { #expect(try expand(coding, [[], []]) == []) }
        #expect(try Zstd.decompress(Zstd.compress([]), limit: 0) == [])
    }

    @Test func deflateWithAndWithoutItsHeader() throws {
        for cut in 0...deflated.count {
            #expect(try expand(.deflate, [Array(deflated[..<cut]), Array(deflated[cut...])]) == hello)
        }
        #expect(throws: RecordsError.self) { try expand(.deflate, [Array(deflated.dropLast(3))]) }
        #expect(throws: RecordsError.self) { try expand(.deflate, [deflated + [1]]) }
    }

    @Test func zlibAndGzip() throws {
        for (coding, body) in [(ContentCoding.deflate, zlib), (.gzip, gzip)] {
            for cut in 0...body.count {
                #expect(try expand(coding, [Array(body[..<cut]), Array(body[cut...])]) == hello)
            }
            #expect(try expand(coding, body.map { [$0] }) == hello)
            #expect(throws: RecordsError.self) { try expand(coding, [Array(body.dropLast())]) }
            #expect(throws: RecordsError.self) { try expand(coding, [body + [1]]) }
            #expect(throws: RecordsError.self) { try expand(coding, [body], limit: hello.count - 1) }
        }
        #expect(try expand(.gzip, [gzip + gzip]) == hello + hello)
    }

    @Test func damagedBodiesNeverTrap() throws {
        let stored = try Zstd.compress(Array(repeating: hello, count: 100).flatMap { $0 })
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            for (coding, body) in [(ContentCoding.zstd, stored), (.deflate, zlib), (.gzip, gzip)] {
                var damaged = body
                damaged[Int.random(in: 0..<damaged.count, using: &generator)] = UInt8.random(in: 0...255)
                _ = try? expand(coding, [damaged])
            }
        }
    }
}
