import Testing

@testable import Records

@Suite struct KeyedDigestTests {
    /// RFC 4231, test cases 1, 2, 3, 6 and 7.
    @Test(arguments: [
        (
            [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        ),
        (
            Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        ),
        (
            [UInt8](repeating: 0xAA, count: 20), [UInt8](repeating: 0xDD, count: 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
        ),
        (
            [UInt8](repeating: 0xAA, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        ),
    ])
    func vectors(_ key: [UInt8], _ text: [UInt8], _ wanted: String) {
        var output = Array("x".utf8)
        let digest = KeyedDigest(key: key)
        for _ in 0..<2 { digest.appendHex(of: text.span, into: &output) }
        #expect(String(decoding: output, as: UTF8.self) == "x" + wanted + wanted)
    }
}

@Suite struct RowGroupTests {
    @Test func valuesOfSeveralColumnsDoNotRunIntoEachOther() {
        let one = Column(.text, .bytes(ByteColumn(["a", "ab", "", "", "a"])))
        let other = Column(.text, .bytes(ByteColumn(["bc", "c", "x", "", "bc"])), validity: [1, 1, 1, 0, 1])
        let groups = RowGroups([one, other], rows: 5)
        #expect(groups.numbers == [0, 1, 2, 3, 0] && groups.count == 4 && groups.hasNull == [0, 0, 0, 1, 0])
        #expect(RowGroups([], rows: 3).numbers == [0, 0, 0])
        #expect(RowGroups([], rows: 0).count == 0)
    }
}

@Suite struct JSONEscapeTests {
    @Test func escapingInPlaceIsEscapingAsOneGoes() {
        for text in ["", "plain", "a\"b\\c\n\t\r\u{8}\u{C}\u{1}\u{1F}é😀", "\"", "\u{0}\u{0}", "x\"\"\"\\"] {
            var output = Array("{\"".utf8)
            var wanted = output
            output += Array(text.utf8)
            JSONText.escapeString(from: 2, in: &output)
            for byte in text.utf8 { JSONText.appendStringByte(byte, into: &wanted) }
            #expect(output == wanted)
            var whole: [UInt8] = []
            JSONText.appendString(Array(text.utf8).span, into: &whole)
            #expect(Array(whole.dropFirst().dropLast()) == Array(wanted.dropFirst(2)))
        }
    }
}
