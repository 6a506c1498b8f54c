import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// `/v1/batches`.
struct BatchRoutes: Sendable {
    let pool: PostgresPool

    /// The largest frame that is decoded here, in bytes.
    static let frameLimit = 64 << 20

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "batches", maximum: 500)
        let source = query.string("source")
        if let source, ResourceName(source) == nil { query.fault("source", "expected a source's name") }
        let state = query.value("state", oneOf: Receipt.State.self)
        try query.finish()
        let before = page.cursor?.values[0].int.map(Int64.init) ?? .max
        let statement = ListBatches(
            workspaceID: principal.workspaceID, source: source, state: state?.rawValue, before: before,
            limit: page.lookup, names: principal.scopes.likePatterns(of: "sources:read"))
        let batches = try await pool.withConnection { try await $0.query(statement) }
        let (items, next) = page.page(of: batches) { [.number($0.id)] }
        return .list(items.map(\.json), nextCursor: next)
    }

    func get(_ request: Request) async throws -> Response {
        let (batch, _) = try await find(request, "sources:read")
        return .json(.ok, batch.json)
    }

    /// The records as they came, one after the other, without those that are not whole.
    func raw(_ request: Request) async throws -> Response {
        let (batch, id) = try await find(request, "raw:read")
        let (payload, expiry) = try await pool.withConnection { connection -> ([UInt8]?, Int64?) in
            if let payload = try await connection.query(FindPayload(batchID: id)).first { return (payload, nil) }
            return (nil, try await connection.query(FindRawExpiry(batchID: id)).first)
        }
        guard let payload else {
            let at = expiry.map(JSONValue.timestamp) ?? .null
            throw Problem(
                .rawExpired, "the raw bytes of batch \(id) have expired", extensions: [("raw_expired_at", at)])
        }
        let frame = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try BatchFrame(decoding: payload, limit: Self.frameLimit)
        }
        let header = frame.header.isEmpty ? [] : frame.header + [0x0A]
        var response = Response.bytes(.ok, Self.mediaType(batch.format), header + frame.bytes)
        // Whoever sent the records has written what a browser is to show here.
        response.headers["x-content-type-options"] = "nosniff"
        response.headers["content-security-policy"] = "default-src 'none'; sandbox"
        return response
    }

    /// A batch of a source for which the key has the scope.
    private func find(_ request: Request, _ scope: String) async throws -> (BatchSummary, Int64) {
        let principal = try request.principal()
        let text = request.parameter("id")
        guard let id = Int64(text), id > 0 else { throw Problem(.notFound, "there is no batch \(text)") }
        let statement = FindBatch(workspaceID: principal.workspaceID, id: id)
        guard let batch = try await pool.withConnection({ try await $0.query(statement).first }),
            principal.scopes.allows(scope, on: batch.source)
        else { throw Problem(.notFound, "there is no batch \(text)") }
        return (batch, id)
    }

    /// The elements of a JSON array come out as lines.
    private static func mediaType(_ format: String) -> String {
        switch format {
        case "csv": "text/csv; charset=utf-8"
        case "text": "text/plain; charset=utf-8"
        default: "application/x-ndjson"
        }
    }
}

extension BatchRoutes {
    private static let example: JSONValue = [
        "id": "12", "source": "weblogs", "format": "ndjson", "state": "stored", "records": 2, "raw_bytes": 48,
        "stored_bytes": 61, "requests": 1, "received_at": "2026-01-01T00:00:00Z", "raw_available": true,
    ]

    var routes: [Route] {
        let id = Operation.Parameter("id", .path, "The batch.", schema: Schema.id, example: "12")
        return [
            Route(
                .get, "/v1/batches", scope: "sources:read", reach: .handler,
                operation: Operation(
                    id: "listBatches", summary: "The workspace's batches, newest first", tag: "ingest",
                    parameters: [
                        .init("source", .query, "Only this source's.", schema: ResourceName.schema),
                        .init(
                            "state", .query, "Only those in this state.", schema: Schema.oneOf(Receipt.State.self)),
                        .limit(500), .cursor,
                    ],
                    answers: [
                        .init(
                            .ok, "A page.",
                            [
                                .json(
                                    schema: Schema.page(of: IngestSchemas.batch),
                                    example: ["items": [Self.example], "next_cursor": nil])
                            ],
                            links: ["getBatch", "getBatchRaw"].map { .init($0, [("id", "$response.body#/items/0/id")]) }
                        )
                    ],
                    problems: [.invalidParameter, .invalidCursor, .databaseUnavailable]),
                handler: list),
            Route(
                .get, "/v1/batches/{id}", scope: "sources:read", reach: .handler,
                operation: Operation(
                    id: "getBatch", summary: "One batch", tag: "ingest", parameters: [id],
                    answers: [.init(.ok, "The batch.", [.json(schema: IngestSchemas.batch, example: Self.example)])],
                    problems: [.notFound, .databaseUnavailable]),
                handler: get),
            Route(
                .get, "/v1/batches/{id}/raw", scope: "raw:read", reach: .handler,
                operation: Operation(
                    id: "getBatchRaw", summary: "A batch's records as they came", tag: "ingest", parameters: [id],
                    answers: [
                        .init(
                            .ok, "The records.",
                            [
                                .init("application/x-ndjson", schema: Schema.string),
                                .init("text/csv", schema: Schema.string), .init("text/plain", schema: Schema.string),
                            ])
                    ],
                    problems: [.notFound, .rawExpired, .databaseUnavailable]),
                handler: raw),
        ]
    }
}
