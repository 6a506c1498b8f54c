import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// `POST /v1/pipelines/{name}/dry-run`: what a pipeline would make of records, with nothing stored.
struct DryRunRoute: Sendable {
    let store: PipelineStore
    let salts: WorkspaceSalts
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
        let compiled = try await PipelineProblems.compile(
            definition, lookups, workspaceID: workspaceID, salts: salts)
        // Its answer shows what it has looked up.
        for looked in compiled.definition.lookupDatasets { try principal.require("datasets:read", on: looked) }
        let received = try await store.pool.withConnection { try await $0.query(ReadClock()).first } ?? 0
        let outputs = compiled.definition.outputs
        let result = try await withTaskExecutorPreference(globalConcurrentExecutor) { [pipeline = compiled.pipeline] in
            try await DryRun(records: records, pipeline: pipeline, outputs: outputs, received: received) { request in
                try await lookups.find(request, workspaceID: workspaceID)
            }
        }
        return .json(bytes: result.json)
    }
}

/// One dry run's outcome.
struct DryRun: Sendable {
    let json: [UInt8]

    /// - Parameter received: when the records came, in µs since 2000-01-01 UTC.
    init(
        records: [JSONValue], pipeline: CompiledPipeline, outputs: [PipelineDefinition.Target], received: Int64,
        lookup: (LookupRequest) async throws -> LookupAnswer
    ) async throws {
        // A list of strings is lines of text; anything else is JSON records.
        let isText = !records.isEmpty && records.allSatisfy { $0.string != nil }
        var frame = BatchFrame(format: isText ? .text : .ndjson)
        for record in records {
            frame.append(record: isText ? Array((record.string ?? "").utf8) : record.serialized())
        }
        let decoded = try RecordDecoder().decode(frame)
        var run = PipelineRun(pipeline, decoded.batch, faults: decoded.faults, received: received)
        var failure: BatchFailure?
        do {
            while let request = try run.advance() { run.supply(try await lookup(request)) }
        } catch let error as BatchFailure {
            failure = error
        }
        // Of a batch that is turned down nothing is left.
        let none = PipelineOutput(batch: RecordBatch(rows: []), faults: failure?.faults ?? [])
        let output = failure == nil ? run.output : none
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
            Self.write(output.filtered, of: records, &writer)
            writer.key("duplicates")
            Self.write(output.duplicates, of: records, &writer)
            writer.key("quarantined")
            Self.write(output.faults, of: records, &writer)
            writer.key("failed")
            Self.write(failure, &writer)
        }
        json = writer.bytes
    }

    private static func write(_ rows: [Int32], of records: [JSONValue], _ writer: inout JSONWriter) {
        writer.array { writer in
            for row in rows.sorted() { writer.value(records[Int(row)]) }
        }
    }

    private static func write(_ failure: BatchFailure?, _ writer: inout JSONWriter) {
        guard let failure else { return writer.value(JSONValue.null) }
        writer.object { writer in
            writer.member("code", failure.code)
            writer.member("step", failure.step)
            writer.member("message", failure.message)
        }
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
