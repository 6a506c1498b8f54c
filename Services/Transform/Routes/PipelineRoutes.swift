import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres

/// `/v1/pipelines`.
struct PipelineRoutes: Sendable {
    let store: PipelineStore
    let lookups: Lookups

    func put(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let body = try await request.json()
        let definition = try PipelineProblems.decode(body)
        try Self.check(definition)
        // What a pipeline may do is not more than its key may: it reads and fills what the key's names stand for, and
        // what it reads of datasets its target shows.
        for used in definition.resources { try principal.require("pipelines:write", on: used) }
        for read in definition.datasetsRead { try principal.require("datasets:read", on: read) }
        try await PipelineProblems.check(definition, lookups, workspaceID: principal.workspaceID)
        let head = request.head
        let put = try await store.put(
            name, definition, body: body.serialized(), workspaceID: principal.workspaceID
        ) { try EntityTag.check(head, current: $0) }
        return Self.answer(put.created ? .created : .ok, put.pipeline)
    }

    func get(_ request: Request) async throws -> Response {
        let pipeline = try await find(request)
        let tag = EntityTag(version: pipeline.version)
        if EntityTag.isUnchanged(request.head, current: tag) {
            return Response(.notModified, headers: ["etag": tag.text])
        }
        return Self.answer(.ok, pipeline)
    }

    func delete(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let head = request.head
        try await store.retire(name, workspaceID: principal.workspaceID) { try EntityTag.check(head, current: $0) }
        return .noContent()
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "pipelines", keys: 2)
        try query.finish()
        let after = (page.cursor?.values[0].string ?? "", Int64(page.cursor?.values[1].int ?? 0))
        let statement = ListPipelines(
            workspaceID: principal.workspaceID, after: after, limit: page.lookup,
            names: principal.scopes.likePatterns(of: "pipelines:read"))
        let pipelines = try await store.pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: pipelines) { [.string($0.name), .number($0.id)] }
        return .list(items.map(Self.json), nextCursor: next)
    }

    func versions(_ request: Request) async throws -> Response {
        let query = try request.query()
        let page = try PageRequest(query, list: "pipeline_versions")
        try query.finish()
        let pipeline = try await find(request)
        let statement = ListPipelineVersions(
            pipelineID: pipeline.id, before: page.cursor?.values[0].int.flatMap(Int32.init(exactly:)) ?? .max,
            limit: page.lookup)
        let versions = try await store.pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: versions) { [.number($0.version)] }
        return .list(items.map(Self.json), nextCursor: next)
    }

    /// Names, and what goes with one sort of source only: mode `replace`, and `route`, since a run has one output.
    private static func check(_ definition: PipelineDefinition) throws {
        switch definition.source {
        case .source(let source):
            _ = try ResourceName(checking: source)
            if let number = definition.outputs.firstIndex(where: { $0.mode == .replace }) {
                throw refused(
                    number == 0 ? "target.mode" : "steps.route.mode", "replace is for pipelines that read a dataset")
            }
        case .dataset(let source):
            _ = try ResourceName(checking: source)
            if let number = definition.steps.firstIndex(where: { $0.name == "route" }) {
                throw refused("steps[\(number)].route", "is not supported where the source is a dataset")
            }
            guard source != definition.target.dataset else {
                throw refused("target.dataset", "is the dataset that is read")
            }
        }
        for output in definition.outputs { _ = try ResourceName(checking: output.dataset) }
    }

    private static func refused(_ path: String, _ message: String) -> Problem {
        PipelineProblems.problem([FieldFault(path: path, message: message)])
    }

    private func find(_ request: Request) async throws -> StoredPipeline {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        return try await store.find(name, workspaceID: principal.workspaceID)
    }

    private static func answer(_ status: HTTPStatus, _ pipeline: StoredPipeline) -> Response {
        .json(status, json(pipeline), headers: ["etag": EntityTag(version: pipeline.version).text])
    }

    private static func json(_ pipeline: StoredPipeline) -> JSONValue {
        [
            "name": .string(pipeline.name), "version": .number(pipeline.version), "implicit": .bool(pipeline.implicit),
            "definition": parsed(pipeline.definition), "created_at": .timestamp(pipeline.createdAt),
            "updated_at": .timestamp(pipeline.updatedAt),
        ]
    }

    private static func json(_ version: StoredPipelineVersion) -> JSONValue {
        [
            "version": .number(version.version), "definition": parsed(version.definition),
            "created_at": .timestamp(version.createdAt),
        ]
    }

    private static func parsed(_ json: [UInt8]) -> JSONValue {
        (try? JSONValue.parse(json)) ?? .null
    }
}
