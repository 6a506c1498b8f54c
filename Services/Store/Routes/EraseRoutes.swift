import Access
import Catalog
import Expressions
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// `/v1/datasets/{name}/erase` and `…/erasures`.
struct EraseRoutes: Sendable {
    static let conditionLimit = 16 << 10

    let catalog: DatasetCatalog
    let wakeup: Wakeup

    func erase(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        // It reads raw bytes to find what is in them, and takes them away.
        try principal.require("raw:read")
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let isDry = query.bool("dry_run") ?? false
        try query.finish()
        let fields = try await request.fields()
        let condition = fields.required("where", String.self)
        if condition.utf8.count > Self.conditionLimit || condition.utf8.contains(0) {
            fields.fault("where", "at most \(Self.conditionLimit) bytes, without U+0000")
        }
        try fields.finish()
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let compiled: ErasureCondition
        do {
            compiled = try ErasureCondition(condition, of: found.readable)
        } catch {
            throw Problem(
                .invalidExpression, "where: \(error.message)", extensions: [("position", .number(error.position))])
        }
        let start = StartErasure(
            workspaceID: principal.workspaceID, datasetID: found.dataset.id, keyID: principal.keyID,
            condition: condition, isDry: isDry)
        let trace = request.context.trace
        let made = try await catalog.pool.withTransaction { connection -> (run: Int64, gaps: [UInt8])? in
            try await connection.follow(trace)
            guard let run = try await connection.query(start).first ?? nil else { return nil }
            let versions = try await connection.query(FindFeedingVersions(datasetID: found.dataset.id))
            let names = FieldNames(versions, of: name.text, columns: compiled.fields)
            let gaps = try await connection.query(
                NoteErasureGaps(run: run, made: names.made, subject: principal.subject)
            ).first
            return (run, gaps ?? Array("[]".utf8))
        }
        guard let made else {
            return .json(.ok, ["run": nil, "not_reached": []])
        }
        wakeup.notify("store")
        return .json(
            .accepted, ["run": .string(String(made.run)), "not_reached": (try? JSONValue.parse(made.gaps)) ?? []])
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let page = try PageRequest(query, list: "erasures")
        try query.finish()
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let statement = ListErasures(
            datasetID: found.dataset.id, before: Int64(page.cursor?.values[0].int ?? .max), limit: page.lookup)
        let entries = try await catalog.pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: entries) { [.number($0.run)] }
        return .list(items.map(\.json), nextCursor: next)
    }
}

extension ListErasures.Entry {
    fileprivate var json: JSONValue {
        [
            "run": .string(String(run)), "state": .string(state), "where_sha256": .string(hash),
            "key": .optional(keyID.map { String($0) }), "subject": .optional(subject), "dry_run": .bool(isDry),
            "created_at": .timestamp(createdAt),
            "finished_at": finishedAt.map(JSONValue.timestamp) ?? .null, "records": .number(counts[0]),
            "quarantined": .number(counts[1]), "unreadable": .number(counts[2]),
            "rows": (try? JSONValue.parse(rows)) ?? [:], "not_reached": (try? JSONValue.parse(notReached)) ?? [],
        ]
    }
}
