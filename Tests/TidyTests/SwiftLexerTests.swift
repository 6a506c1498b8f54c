import Testing

@Suite struct SwiftLexerTests {
    private func words(_ text: String) -> [String] {
        SwiftLexer.tokens(of: text).map(\.text)
    }

    @Test func commentsAndStringsAreLeftOut() {
        #expect(words("a // b\n/* c /* d */ e */ f") == ["a", "f"])
        #expect(words(#"let a = "b \" c" + d"#) == ["let", "a", "=", "\"", "+", "d"])
        #expect(words("#\"b \\(c) \"d\"# e") == ["\"", "e"])
        #expect(words("\"\"\"\n a \"quoted\" b\n\"\"\" c") == ["\"", "c"])
        #expect(words("x##\"a\"# b\"##y") == ["x", "\"", "y"])
    }

    @Test func codeInsideAnInterpolationCounts() {
        #expect(words(#""a \(b(c, "d") + e) f" g"#) == ["\"", "b", "(", "c", ",", "\"", ")", "+", "e", "g"])
        #expect(words("#\"a \\#(b) \\(c)\"# d") == ["\"", "b", "d"])
    }

    @Test func linesAreCounted() {
        let tokens = SwiftLexer.tokens(of: "a\n/*\n\n*/ b\n\"\"\"\nx\n\"\"\"\nc")
        #expect(tokens.map(\.line) == [1, 4, 5, 8])
    }

    @Test func hashesWithoutAStringAreAMacro() {
        #expect(words("#expect(a)") == ["#", "expect", "(", "a", ")"])
    }

    @Test func whatIsCutOffEnds() {
        #expect(words("\"a").count == 1)
        #expect(words("/* a").isEmpty)
        #expect(words("\"\\(a").count == 2)
    }
}
