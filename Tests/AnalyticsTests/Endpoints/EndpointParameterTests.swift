import JSON
import Records
import Testing

@testable import Analytics

@Suite struct EndpointParameterTests {
    @Test(
        arguments: [
            (.int8, "007", "7"), (.int8, "-9223372036854775808", "-9223372036854775808"), (.bool, "T", "true"),
            (.float8, "1e2", "100"), (.float8, "nan", "NaN"), (.numeric, "0012.50", "12.50"), (.numeric, "NaN", "NaN"),
            (.timestamptz, "2026-03-01T12:00:00+02:00", "2026-03-01 10:00:00+00"),
            (.timestamptz, "2026-03-01", "2026-03-01 00:00:00+00"), (.timestamptz, "infinity", "infinity"),
            (.date, "2026-03-01", "2026-03-01"),
            (.uuid, "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
            (.jsonb, #"{"a": [1, 2]}"#, #"{"a": [1, 2]}"#), (.text, "'; drop table web; --", "'; drop table web; --"),
            (.text, "", ""),
        ] as [(ColumnType, String, String)])
    func valuesAreWrittenOneWay(_ type: ColumnType, _ text: String, _ expected: String) throws {
        #expect(try EndpointParameter.text(of: text, as: type) == expected)
        #expect(try EndpointParameter.text(of: expected, as: type) == expected)
    }

    @Test(
        arguments: [
            (.int8, ["", " ", "1.0", "1e3", "9223372036854775808", "0x10", "１", "1 or 1=1"]),
            (.bool, ["", "2", "maybe"]),
            (.float8, ["", "1,5", "1e400", "1e-400", "--1"]), (.numeric, ["", "1,5", "1e200000", "0x1"]),
            (.timestamptz, ["", "now", "yesterday", "2026-13-01", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z"]),
            (.date, ["", "today", "2026-02-30"]), (.uuid, ["", "a0eebc99", "g0eebc999c0b4ef8bb6d6bb9bd380a11"]),
            (.jsonb, ["", "{", "{'a': 1}", #""\u0000""#, #""\ud800""#, String(repeating: "[", count: 5000)]),
        ] as [(ColumnType, [String])])
    func whatIsNoValueIsRefused(_ type: ColumnType, _ texts: [String]) {
        for text in texts {
            #expect(throws: ParameterFault.self, "\(type): \(text.prefix(40))") {
                try EndpointParameter.text(of: text, as: type)
            }
        }
    }

    @Test func aPlusThatBecameASpaceIsPointedOut() {
        let fault = #expect(throws: ParameterFault.self) {
            try EndpointParameter.text(of: "2026-03-01T12:00:00 02:00", as: .timestamptz)
        }
        #expect(fault?.message.contains("%2B") == true)
    }

    @Test func valuesAsJSON() {
        func json(_ type: ColumnType, _ text: String) -> JSONValue {
            EndpointParameter(name: "p", type: type, standing: .required).json(of: text)
        }
        #expect(json(.int8, "7") == 7 && json(.float8, "NaN") == "NaN" && json(.bool, "true") == true)
        #expect(json(.timestamptz, "2026-03-01 10:00:00+00") == "2026-03-01T10:00:00Z")
        #expect(json(.jsonb, #"{"a":1}"#) == ["a": 1])
    }
}
