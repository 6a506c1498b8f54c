import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Records

/// `POST /v1/pipelines/{name}/dry-run`: what a pipeline would make of records, with nothing stored.
struct DryRunRoute: Sendable {
    let store: PipelineStore
    let lookups: Lookups

    /// Records of one dry run.
    static let recordLimit = 1_000
    static let bodyLimit = 4 << 20

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let fields = try await request.fields(limit: Self.bodyLimit)
        let records = fields.required("records", [JSONValue].self)
        let given = fields.optional("definition", JSONValue.self)
        try fields.finish()
        if records.count > Self.recordLimit {
            throw Problem(.invalidRequest, "records: at most \(Self.recordLimit) are run dry, not \(records.count)")
        }
        let definition: JSONValue
        if let given {
            definition = given
        } else {
            definition = try JSONValue.parse(
                await store.find(name, workspaceID: principal.workspaceID).definition)
        }
        let workspaceID = principal.workspaceID
        let compiled = try await PipelineProblems.compile(definition, lookups, workspaceID: workspaceID)
        let outputs = compiled.definition.outputs
        let result = try await withTaskExecutorPreference(globalConcurrentExecutor) { [pipeline = compiled.pipeline] in
            try await DryRun(records: records, pipeline: pipeline, outputs: outputs) { request in
                try await lookups.find(request, workspaceID: workspaceID)
            }
        }
        return .json(bytes: result.json)
    }
}

/// One dry run's outcome.
struct DryRun: Sendable {
    let json: [UInt8]

    init(
        records: [JSONValue], pipeline: CompiledPipeline, outputs: [PipelineDefinition.Target],
        lookup: (LookupRequest) async throws -> LookupAnswer
    ) async throws {
        // A list of strings is lines of text; anything else is JSON records.
        let isText = !records.isEmpty && records.allSatisfy { $0.string != nil }
        var frame = BatchFrame(format: isText ? .text : .ndjson)
        for record in records {
            frame.append(record: isText ? Array((record.string ?? "").utf8) : record.serialized())
        }
        let decoded = try RecordDecoder().decode(frame)
        var run = PipelineRun(pipeline, decoded.batch, faults: decoded.faults)
        while let request = run.advance() { run.supply(try await lookup(request)) }
        let output = run.output
        var writer = JSONWriter()
        writer.object { writer in
            writer.key("rows")
            Self.write(output.batch, &writer)
            writer.key("routed")
            writer.array { writer in
                for (number, batch) in output.routed.enumerated() {
                    writer.object { writer in
                        writer.member("output", number + 1)
                        writer.member("dataset", outputs[number + 1].dataset)
                        writer.key("rows")
                        Self.write(batch, &writer)
                    }
                }
            }
            writer.key("filtered")
            writer.array { writer in
                for row in output.filtered.sorted() { writer.value(records[Int(row)]) }
            }
            writer.key("quarantined")
            Self.write(output.faults, of: records, &writer)
        }
        json = writer.bytes
    }

    private static func write(_ batch: RecordBatch, _ writer: inout JSONWriter) {
        writer.array { writer in
            for row in 0..<batch.rowCount {
                writer.object { writer in
                    for named in batch.columns {
                        var value: [UInt8] = []
                        named.column.appendJSON(row, into: &value)
                        writer.key(named.name)
                        writer.writeRaw(value)
                    }
                }
            }
        }
    }

    private static func write(_ faults: [RowFault], of records: [JSONValue], _ writer: inout JSONWriter) {
        let byRow = Dictionary(grouping: faults, by: \.row)
        writer.array { writer in
            for (row, faults) in byRow.sorted(by: { $0.key < $1.key }) {
                writer.object { writer in
                    writer.member("row", row)
                    writer.member("raw", records[Int(row)])
                    writer.key("errors")
                    writer.writeRaw(StagedFaults.json(faults))
                }
            }
        }
    }
}
