import Records
import Testing

@testable import Ingest

@Suite struct StreamEnvelopeTests {
    private func records(_ text: String) throws -> (seq: Int64?, format: RecordFormat, records: [String]) {
        let message = try StreamMessage(Array(text.utf8))
        let offsets = message.frame.offsets()
        let records = (0..<message.frame.recordCount).map {
            String(decoding: message.frame.record($0, offsets: offsets), as: UTF8.self)
        }
        return (message.seq, message.frame.format, records)
    }

    @Test(arguments: [
        #"{"seq":7,"records":[{"a":1},{"b":[2]}]}"#,
        " {\n \"seq\" : 7 ,\t\"records\" : [ {\"a\":1}, {\"b\":[2]} ] } \n",
        #"{"records":[{"a":1},{"b":[2]}],"seq":7}"#,
        #"{"records" : [{"a":1} , {"b":[2]}] , "seq" : 7 }"#,
    ])
    func envelopes(_ text: String) throws {
        let found = try records(text)
        #expect(found.seq == 7 && found.format == .json)
        #expect(found.records == [#"{"a":1}"#, #"{"b":[2]}"#])
    }

    /// Brackets and quotes inside the records end nothing.
    @Test(arguments: [#"{"a":"]}"}"#, #"{"a":"\"]}\\"}"#, #"{"a":[[{"b":"}"}]]}"#, #""]""#, "[]", "1e5"])
    func recordsOfAllKinds(_ record: String) throws {
        for text in [
            #"{"seq":1,"records":[\#(record)]}"#, #"{"records":[\#(record), \#(record)],"seq":1}"#,
            #"{"seq":9223372036854775807,"records":[{},\#(record)]}"#,
        ] {
            let found = try records(text)
            #expect(found.seq != nil && found.records.last == record, "\(text)")
        }
    }

    /// Records of a bare message may look like an envelope, as long as they are none.
    @Test(arguments: [
        #"{"a":1}"#, #"{"seq":5}"#, #"{"seq":5,"value":1,"records":[1]}"#, #"{"records":[1]}"#,
        #"{"records":5,"seq":5}"#, #"{"seq":5,"records":{"a":[1]}}"#, #"{"seq":{"a":1},"records":[1]}"#,
        #"{"seq":[5],"records":[1]}"#, #"{"s\u0065q":5,"records":[1]}"#, #"["seq","records"]"#, "no JSON at all",
        #"{"seq""#, #"{"seq":"#, "{", #"{"seq":5,"#, "5", #"{"other":1,"seq":5,"records":[1]}"#,
    ])
    func bareMessages(_ line: String) throws {
        let found = try records(line)
        #expect(found.seq == nil && found.format == .ndjson && found.records == [line])
        let several = try records(line + "\n\n{\"b\":2}\n")
        #expect(several.seq == nil && several.records == [line, #"{"b":2}"#])
    }

    @Test(arguments: [
        #"{"seq":0,"records":[1]}"#, #"{"seq":-1,"records":[1]}"#, #"{"seq":1.5,"records":[1]}"#,
        #"{"seq":1e3,"records":[1]}"#, #"{"seq":"1","records":[1]}"#, #"{"seq":null,"records":[1]}"#,
        #"{"seq":+1,"records":[1]}"#, #"{"seq":9223372036854775808,"records":[1]}"#,
        #"{"seq":1,"records":[1],"more":2}"#, #"{"records":[1],"seq":1,"more":2}"#, #"{"seq":1,"records":[1],"seq":1}"#,
        #"{"records":[1],"seq":1}x"#, #"{"records":[1],"seq":1}{"records":[1],"seq":2}"#, #"{"seq":1,"records":["#,
        #"{"seq":1,"records":[{"a":"]"#, #"{"records":[{"a":1}"#, #"{"records":[1],"seq":1"#,
    ])
    func envelopesThatAreMalformed(_ text: String) {
        #expect(throws: StreamEnvelope.Malformed.self) { try records(text) }
    }

    @Test(arguments: [
        #"{"seq":1,"records":[1]} {"seq":2,"records":[1]}"#, #"{"seq":1,"records":[1 2]}"#,
        #"{"seq":1,"records":[1],"x":[2]}"#, #"{"seq":1,"records":[1,]}"#,
    ])
    func recordsThatCannotBeCut(_ text: String) {
        #expect(throws: (any Error).self) { try records(text) }
    }

    @Test(arguments: ["", "\n \n", #"{"seq":1,"records":[]}"#])
    func messagesWithoutRecords(_ text: String) {
        #expect(throws: Intake.EmptyBody.self) { try records(text) }
    }
}
