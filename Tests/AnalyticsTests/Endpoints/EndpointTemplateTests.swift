import Foundation
import JSON
import Records
import TestSupport
import Testing

@testable import Analytics

@Suite struct EndpointTemplateTests {
    /// The faults of a text, each with its position.
    private func faults(_ text: String) -> [String] {
        do throws(EndpointTemplate.Faults) {
            _ = try EndpointTemplate(text)
            return []
        } catch {
            return error.all.map { "\($0.position): \($0.message)" }
        }
    }

    @Test func parametersBecomeNumbersWithTheirTypes() throws {
        let text = "select {{a:int8}}, {{ b : text = 'it''s' }}, {{a}} limit {{n:int8=10}}"
        let template = try EndpointTemplate(text)
        #expect(template.sql == "select  ($1::int8) ,  ($2::text) ,  ($1::int8)  limit  ($3::int8) ")
        #expect(
            template.parameters == [
                .init(name: "a", type: .int8, standing: .required),
                .init(name: "b", type: .text, standing: .optional("it's")),
                .init(name: "n", type: .int8, standing: .optional("10")),
            ])
    }

    @Test func aParameterMayBeNamedBeforeItIsDeclared() throws {
        let template = try EndpointTemplate("select {{b}}, {{a:int8}}, {{b:date=null}}")
        #expect(template.parameters.map(\.name) == ["a", "b"])
        #expect(template.parameters[1].standing == .optional(nil))
        #expect(template.sql == "select  ($2::date) ,  ($1::int8) ,  ($2::date) ")
    }

    @Test(
        arguments: [
            ("{{s:text=abc}}", "abc"), ("{{s:text='}}'}}", "}}"), ("{{s:text='null'}}", "null"), ("{{s:text=''}}", ""),
            ("{{s:timestamptz=2026-01-01T00:00:00+02:00}}", "2025-12-31 22:00:00+00"), ("{{s:bool=yes}}", "true"),
            ("{{s:jsonb='{\"a\":{\"b\":1}}'}}", "{\"a\":{\"b\":1}}"), ("{{s:numeric=1.50e1}}", "15.0"),
            ("{{s:int8= 7 }}", "7"),
            ("{{s:float8=1e400}}", nil), ("{{s:int8=x}}", nil), ("{{s:date=2026-02-30}}", nil), ("{{s:text=}}", nil),
            ("{{s:text=it's}}", nil), ("{{s:text='open}}", nil), ("{{s:jsonb={}}}", nil),
            ("{{s:timestamptz=now}}", nil),
        ] as [(String, String?)])
    func defaults(_ text: String, _ value: String?) {
        let template = try? EndpointTemplate("select \(text)")
        guard let value else {
            #expect(template == nil, "\(text)")
            return
        }
        #expect(template?.parameters.first?.standing == .optional(value), "\(text)")
    }

    @Test(arguments: [
        "select '{{1,2},{3,4}}'::int[]", "select '{{a}}'::text[]", "select $$ {{x}} $$", "select 1 -- {{x:int8}}",
        "select /* {{x:int8}} /* {{y}} */ {{z}} */ 1", "select E'\\' {{x}}'", "select a$1 from t", "select \"{{x}}\"",
        "select E'a'\n '\\'{{x}}'", "select $a$ $b$ {{x}} $a$",
    ])
    func bracesInQuotesAndCommentsAreNoParameters(_ text: String) throws {
        let template = try EndpointTemplate(text)
        #expect(template.parameters.isEmpty && template.sql == text)
    }

    @Test func everyMistakeIsNamedWithItsPlace() {
        #expect(
            faults("select $1, {{x}}, {{N:int8}}, {{y:int4}}, '{{y:text}}', {{format:text}}") == [
                "8: write {{name:type}} instead of $1", "12: the parameter x has no type: write {{x:type}} once",
                #"19: "N" is no parameter's name: a letter a-z, then at most 47 letters a-z, digits and _"#,
                "31: there is no type \"int4\"; expected one of text, int8, float8, numeric, bool, timestamptz, date, "
                    + "uuid, jsonb",
                "44: {{y… stands in quotes, where no value can be bound; put it outside and join by ||",
                "57: format is asked of every endpoint; name the parameter otherwise",
            ])
        // Positions count characters.
        #expect(faults("select 'äöü€', {{x}}") == ["16: the parameter x has no type: write {{x:type}} once"])
        #expect(faults("select {{a:int8}}, {{a:int8=1}}").count == 1)
        #expect(faults("select {{a:int8}}, '{{a}}'").count == 1)
        for text in [
            "{{", "{{}}", "{{a", "{{a:", "{{a:int8", "{{a:int8}", "{{a:int8=", "{{a b}}", "{{a:int8 x}}", "{{1}}",
        ] {
            #expect(faults("select \(text)").count == 1, "\(text)")
        }
        let many = (0...64).map { "{{p\($0):int8}}" }.joined(separator: ",")
        #expect(faults("select \(many)").count == 1)
    }

    @Test func positionsAreThoseOfTheText() throws {
        let text = "select 'ä', {{a:int8}} + x, {{b:text=''}} || y"
        let template = try EndpointTemplate(text)
        for (sent, written) in [
            ("'ä'", "'ä'"), ("+ x", "+ x"), ("|| y", "|| y"), ("($1", "{{a"), ("int8", "{{a"), ("($2", "{{b"),
        ] {
            let position = try #require(template.sql.range(of: sent)?.lowerBound).utf16Offset(in: template.sql) + 1
            let expected = try #require(text.range(of: written)?.lowerBound).utf16Offset(in: text) + 1
            #expect(template.position(ofStatement: position) == expected, "\(sent)")
        }
        #expect(template.position(ofStatement: 1) == 1)
    }

    /// Texts put together at random from what may change where quotes begin and end: PostgreSQL's parser must find the
    /// very parameters in what is sent that were found in the text.
    @Test func thePostgreSQLParserSeesTheSameParameters() throws {
        let pieces = [
            "'", "''", "\"", "E'", "e'", "\\", "$$", "$a$", "$", "a", "a$", "1", "--", "\n", "/*", "*/", "/", "*", "-",
            " ",
            "{{x:int8}}", "{{x:int8}}", "{{x:int8}}", "||", "U&'", "N'", "é", "+", ",", "\r", "'\n'",
        ]
        var generator = Generator(seed: TestSeed.next())
        let seed = generator.state
        var compared = 0
        for _ in 0..<60_000 {
            let count = Int.random(in: 1...14, using: &generator)
            let text = "select " + (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let template = try? EndpointTemplate(text), let tree = try? StatementTree(parsing: template.sql)
            else {
                continue
            }
            var reader = TemplateReader(Array(text.utf8))
            reader.read()
            let found = tree.statements.reduce(0) { $0 + Self.references($1) }
            #expect(found == reader.uses.count, "\(text.debugDescription), seed \(seed)")
            compared += found
        }
        #expect(compared > 500)
    }

    private static func references(_ value: JSONValue) -> Int {
        switch value {
        case .array(let items): items.reduce(0) { $0 + references($1) }
        case .object(let object):
            object.members.reduce(0) { $0 + ($1.key == "ParamRef" ? 1 : references($1.value)) }
        default: 0
        }
    }

    /// SplitMix64.
    private struct Generator: RandomNumberGenerator {
        private(set) var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
