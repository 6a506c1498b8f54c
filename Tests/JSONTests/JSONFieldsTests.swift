import JSON
import Testing

@Suite struct JSONFieldsTests {
    private enum Mode: String, CaseIterable { case append, upsert }

    private func faults(_ text: String, _ read: (JSONFields) -> Void) throws -> [String] {
        let fields = JSONFields(try JSONValue.parse(text))
        read(fields)
        do {
            try fields.finish()
            return []
        } catch {
            return error.faults.map(\.description)
        }
    }

    @Test func readsWhatIsThere() throws {
        let fields = JSONFields(
            try JSONValue.parse(
                #"{"name":"a","n":3,"x":1.5,"on":true,"tags":["p","q"],"mode":"upsert","ttl":"30s","none":null}"#))
        #expect(fields.required("name", String.self) == "a")
        #expect(fields.required("n", Int.self) == 3)
        #expect(fields.required("x", Double.self) == 1.5)
        #expect(fields.required("on", Bool.self))
        #expect(fields.required("tags", [String].self) == ["p", "q"])
        #expect(fields.required("mode", oneOf: Mode.self) == .upsert)
        #expect(fields.required("ttl", Duration.self) == .seconds(30))
        #expect(fields.optional("none", String.self) == nil)
        #expect(fields.optional("absent", Int.self) == nil)
        try fields.finish()
    }

    @Test func collectsAllFaults() throws {
        let found = try faults(#"{"n":"x","mode":"replace","extra":1,"deep":{"bad":0,"list":[{"k":1},2]},"nul":null}"#)
        {
            _ = $0.required("name", String.self)
            _ = $0.required("n", Int.self)
            _ = $0.required("mode", oneOf: Mode.self)
            _ = $0.required("nul", Bool.self)
            let deep = $0.object("deep")
            for item in deep.objects("list") { _ = item.required("k", String.self) }
            _ = $0.object("gone").required("field", String.self)
        }
        #expect(
            found == [
                "name: missing; expected a string without U+0000",
                "n: expected an integer, found a string",
                "mode: expected one of \"append\", \"upsert\", found \"replace\"",
                "nul: expected true or false, found null",
                "deep.list[1]: expected an object, found a number",
                "deep.list[0].k: expected a string without U+0000, found a number",
                "gone: missing; expected an object",
                "extra: unknown field",
                "deep.bad: unknown field",
            ])
    }

    @Test func oddKeysAreQuotedInPaths() throws {
        #expect(try faults(#"{"a.b":1}"#) { _ in } == [#"["a.b"]: unknown field"#])
        #expect(try faults(#"{"o":{"x y":1}}"#) { _ = $0.object("o") } == [#"o["x y"]: unknown field"#])
    }

    @Test func aValueThatIsNoObjectIsOneFault() throws {
        #expect(try faults("[1]") { _ = $0.required("a", String.self) } == ["expected an object, found an array"])
    }

    @Test func refusesTextsThatNoDatabaseHolds() throws {
        #expect(try faults(#"{"a":"x\u0000"}"#) { _ = $0.required("a", String.self) }.count == 1)
    }

    @Test(arguments: [("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("12h", 43_200_000), ("7d", 604_800_000)])
    func readsDurations(_ text: String, _ milliseconds: Int64) {
        #expect(DurationText.parse(text) == .milliseconds(milliseconds))
        #expect(DurationText.format(.milliseconds(milliseconds)) == text)
    }

    @Test(arguments: [
        "", "s", "5", "-5s", "+5s", "5 s", "5S", "1.5s", "99999999999999d", "9999999999999999999s", "5sec",
    ])
    func refusesDurations(_ text: String) {
        #expect(DurationText.parse(text) == nil)
    }
}
