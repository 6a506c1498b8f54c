import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// `POST /v1/pipelines/{name}/dry-run`: what a pipeline would store of records, with nothing stored.
struct DryRunRoute: Sendable {
    enum Numbers: String, CaseIterable {
        case json, string
    }

    let store: PipelineStore
    let salts: WorkspaceSalts
    let lookups: Lookups

    /// Records of one dry run.
    static let recordLimit = 1_000
    static let bodyLimit = 4 << 20

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let numbers: NumberStyle = query.value("numbers", oneOf: Numbers.self) == .string ? .strings : .plain
        try query.finish()
        let (records, given) = try Self.read(try await request.fields(limit: Self.bodyLimit))
        let workspaceID = principal.workspaceID
        let body: JSONValue
        if let given {
            body = given
        } else {
            body = try JSONValue.parse(await store.find(name, workspaceID: workspaceID).definition)
        }
        let definition = try PipelineProblems.decode(body)
        // Its answer shows what it has looked up, and the columns of the datasets that it reads and would fill.
        for looked in definition.lookupDatasets { try principal.require("datasets:read", on: looked) }
        let targets = definition.outputs
        if given != nil {
            let shown = targets.map(\.dataset) + (definition.source.dataset.map { [$0] } ?? [])
            for dataset in shown where !principal.scopes.allows("pipelines:read", on: dataset) {
                try principal.require("datasets:read", on: dataset)
            }
        }
        let columns = try await store.columns(of: definition.source, workspaceID: workspaceID)
        let compiled = try await PipelineProblems.compile(
            definition, over: columns, lookups, workspaceID: workspaceID,
            salt: definition.needsSalt ? try await salt(of: name, for: principal) : [])
        let pipeline = columns.map(compiled.reading) ?? compiled
        let received = try await store.pool.withConnection { try await $0.query(ReadClock()).first } ?? 0
        // What a dataset takes is asked for anew each time: whoever runs dry has often just changed it.
        let transformer = BatchTransformer(schemas: SchemaRegistry(pool: store.pool), lookups: lookups)
        let answer = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            let run = try await DryRun(records, pipeline, targets, received: received) { request in
                try await lookups.find(request, workspaceID: workspaceID)
            } fit: { outcome, decodeFaults in
                try await transformer.fit(
                    outcome, decodeFaults: decodeFaults, to: targets, workspaceID, newColumns: .foreseen)
            }
            return run.json(numbers: numbers)
        }
        return .json(bytes: answer)
    }

    /// The workspace's for those who may change the pipeline; for others one of this request: whoever only reads could
    /// find out what was masked by trying.
    private func salt(of name: ResourceName, for principal: Principal) async throws -> [UInt8] {
        if principal.scopes.allows("pipelines:write", on: name.text) {
            return try await salts.salt(of: principal.workspaceID)
        }
        return (0..<32).map { _ in UInt8.random(in: .min ... .max) }
    }

    /// The records, and the definition that is to be run in place of the stored one.
    private static func read(_ fields: JSONFields) throws -> (DryRecords, JSONValue?) {
        let given = fields.optional("definition", JSONValue.self)
        let records = try DryRecords(finishing: fields)
        if records.count > recordLimit {
            throw Problem(.invalidRequest, "records: at most \(recordLimit) are run dry, not \(records.count)")
        }
        return (records, given)
    }
}
