import Foundation
import JSON
import Records
import Testing

@testable import Transform

/// The steps as they are documented, run as a dry run does: what is said of them stays true.
@Suite struct StepExampleTests {
    private static func dryRun(_ steps: [JSONValue], _ records: [JSONValue]) async throws -> JSONValue {
        let definition: JSONValue = ["source": "s", "steps": .array(steps), "target": ["dataset": "d"]]
        let countries = LookupSchema(["countries": ["code": .text, "name": .text]])
        let (decoded, pipeline) = try PipelineCompiler(salt: Pipelines.salt, lookups: countries).compile(definition)
        let run = try await DryRun(
            DryRecords(records), pipeline, decoded.outputs, received: Pipelines.received
        ) { request in
            // The dataset has one row, whose code is `de`.
            let codes = TextOutput.texts(of: request.keys[0].values)
            let found = (0..<request.count).filter { codes.string($0) == "de" }.map { Int32($0) }
            let names = ByteColumn(found.map { _ in "Germany" })
            return LookupAnswer(to: request, found: found, columns: [Column(.text, .bytes(names))])
        } fit: { outcome, faults in
            // A dataset that takes everything as it is.
            let settings = DatasetSettings(definition: [:], declared: false)
            let schema = DatasetSchema(id: 0, settings: settings, primaryKey: [], columns: [])
            let outputs = outcome.outputs.map { FittedBatch.Output(schema: schema, batch: $0) }
            return FittedBatch(outcome, outputs, decodeFaults: faults)
        }
        return try JSONValue.parse(run.json())
    }

    @Test func everyExampleMakesTheRowsItSays() async throws {
        for example in StepExample.all {
            let outcome = try await Self.dryRun((example.before.map { [$0] } ?? []) + [example.step], example.records)
            #expect(outcome["rows"] == .array(example.rows), "\(example.description)")
            #expect(outcome["failed"] == .null)
        }
    }

    @Test func everyStepFormatAndMaskHasOne() {
        let steps = Set(StepExample.all.compactMap { $0.step.object?.keys.first })
        let formats = StepExample.all.compactMap { $0.step["parse"]?["format"]?.string }
        #expect(Set(formats) == Set(StepDefinition.Parse.Format.allCases.map(\.rawValue)))
        let fields = JSONFields(["nothing": 1])
        _ = StepDefinition.decode(fields)
        let refusal = #expect(throws: FieldFaults.self) { try fields.finish() }
        let known = refusal?.faults.first?.message.split(separator: "are ").last?.split(separator: ", ").map(
            String.init)
        #expect(Set(known ?? []) == steps)
    }

    @Test func theDocumentShowsThem() throws {
        let document = String(decoding: PipelineSchemas.definition.serialized(), as: UTF8.self)
        for example in StepExample.all {
            let text = String(decoding: JSONValue.string(example.description).serialized(), as: UTF8.self)
            #expect(document.contains(text.dropFirst().dropLast()), "\(example.description)")
        }
    }

    /// The table of steps in the README: each is one that is taken, and none is missing.
    @Test func theREADMEShowsThem() async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
        let section = try #require(text.components(separatedBy: "\n### Steps\n").dropFirst().first)
            .components(separatedBy: "\n##")[0]
        let shown = section.split(separator: "\n").compactMap { line -> String? in
            guard line.hasPrefix("| `{") else { return nil }
            return line.dropFirst(3).components(separatedBy: "` |").first?.replacing("\\|", with: "|")
        }
        var kinds: Set<String> = []
        for text in shown {
            let step = try JSONValue.parse(Array(text.utf8))
            let kind = try #require(step.object?.keys.first)
            kinds.insert(step["parse"]?["format"]?.string ?? kind)
            let before: [JSONValue] = kind == "outliers" ? [["cast": ["ms": "int8"]]] : []
            await #expect(throws: Never.self, "\(text)") {
                try await Self.dryRun(before + [step], ["a line", ["id": 1]])
            }
        }
        var wanted = Set(
            StepExample.all.compactMap { $0.step["parse"]?["format"]?.string ?? $0.step.object?.keys.first })
        wanted.remove("parse")
        #expect(kinds == wanted)
    }

    @Test func aDryRunSaysWhatWouldFailTheBatch() async throws {
        let outcome = try await Self.dryRun(
            [["expect": ["small": "n::int8 < 5"], "max_failed": 0]], [["n": 1], ["n": 9], ["n": "x"]])
        #expect(outcome["rows"] == [] && outcome["filtered"] == [] && outcome["duplicates"] == [])
        #expect(outcome["quarantined"]?.array?.compactMap { $0["row"]?.int } == [1, 2])
        #expect(
            outcome["failed"] == [
                "code": "too_many_failed", "step": "steps[0].expect",
                "message": "2 of 3 rows fail, more than max_failed 0; small: 2",
            ])
    }

    @Test func aDryRunShowsDuplicates() async throws {
        let outcome = try await Self.dryRun([["dedupe": ["by": ["n"]]]], [["n": 1], ["n": 1], ["n": 2]])
        #expect(outcome["rows"] == [["n": 1], ["n": 2]] && outcome["duplicates"] == [["n": 1]])
    }
}
