import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// What is in a dataset and beside it: rows, quarantine, lineage.
struct RowRoutes: Sendable {
    enum Numbers: String, CaseIterable {
        case json, string

        var style: NumberStyle { self == .string ? .strings : .plain }
    }

    enum Stage: String, CaseIterable {
        case decode, transform, store
    }

    /// Raw records of one page of quarantine, in bytes.
    static let quarantineBytes: Int64 = 8 << 20
    static let frameLimit = 256 << 20

    let catalog: DatasetCatalog

    func rows(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let offers = [MediaType.json, .ndjson, .csv]
        guard let type = MediaType.choose(request.head["accept"], from: offers) else {
            throw Problem(.notAcceptable, "rows come as application/json, application/x-ndjson or text/csv")
        }
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let query = try request.query()
        let numbers = query.value("numbers", oneOf: Numbers.self)?.style ?? .plain
        let rows = try RowsQuery(query, of: found)
        let page =
            found.dataset.hasTable
            ? try await RowsPage.read(
                rows, schema: found.dataset.schema, table: found.dataset.name, from: catalog.pool)
            : RowsPage.empty(rows)
        let cursor = page.next.map { Cursor($0.map(JSONValue.optional)).text(of: rows.cursorName) }
        return await withTaskExecutorPreference(globalConcurrentExecutor) {
            switch type.essence {
            case "text/csv":
                Self.answer(
                    "text/csv; charset=utf-8; header=present", page.batch.csvHeader() + page.batch.csvLines(), cursor)
            case "application/x-ndjson": Self.answer(type.essence, page.batch.ndjsonLines(numbers: numbers), cursor)
            default: Self.answer(type.essence, page.json(cursor: cursor, numbers: numbers), cursor)
            }
        }
    }

    /// Formats without a place for the cursor have it in a header; JSON has it in both.
    private static func answer(_ type: String, _ bytes: [UInt8], _ cursor: String?) -> Response {
        var response = Response.bytes(.ok, type, bytes)
        if let cursor { response.headers["x-next-cursor"] = cursor }
        response.headers["vary"] = "Accept"
        return response
    }

    func quarantine(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let page = try PageRequest(query, list: "quarantine", keys: 4)
        let stage = query.value("stage", oneOf: Stage.self)
        try query.finish()
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let keys = page.cursor?.values.map { $0.int ?? 0 }
        let after = (
            batchID: Int64(keys?[0] ?? 0), row: Int32(clamping: keys?[1] ?? -1), pipelineID: Int64(keys?[2] ?? 0),
            output: Int16(clamping: keys?[3] ?? -1)
        )
        let statement = ListQuarantine(
            datasetID: found.dataset.id, after: after, stage: stage?.rawValue, limit: page.lookup,
            bytes: Self.quarantineBytes)
        let records = try await catalog.pool.withConnection { try await $0.query(statement) }
        let size = records.reduce(0) { $0 + $1.raw.count }
        let (items, next) = page.page(of: records, hasMore: size > Self.quarantineBytes) { record in
            [.number(record.batchID), .number(record.row), .number(record.pipelineID), .number(record.output)]
        }
        return .list(items.map(\.json), nextCursor: next)
    }

    /// Counts of reasons, without the records or what their messages quote of them.
    func reasons(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        try request.query().finish()
        let dataset = try await catalog.find(name, workspaceID: principal.workspaceID).dataset
        let statement = ListQuarantineReasons(datasetID: dataset.id)
        let reasons = try await catalog.pool.withConnection { try await $0.query(statement) }
        let scanned = reasons.first?.scanned ?? 0
        return .json(
            .ok,
            [
                "items": .array(reasons.map(\.json)), "records": .number(scanned),
                "truncated": .bool(scanned == ListQuarantineReasons.scanned),
            ])
    }

    func lineage(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let batchText = query.requiredString("batch")
        let row = query.int("row", in: 0...Int(Int32.max))
        if row == nil { query.fault("row", "missing") }
        guard let batchID = Int64(batchText), let row else {
            query.fault("batch", "expected a batch's id")
            try query.finish()
            throw Problem(.invalidParameter, "batch and row are needed")
        }
        try query.finish()
        let found = try await catalog.find(name, workspaceID: principal.workspaceID)
        let statement = FindLineage(
            workspaceID: principal.workspaceID, datasetID: found.dataset.id, batchID: batchID, row: Int32(row))
        let maySeeRaw = principal.scopes.allows("raw:read", on: name.text)
        let (entries, batch) = try await catalog.pool.withConnection { connection -> ([LineageEntry], RawBatch?) in
            let entries = try await connection.query(statement)
            guard maySeeRaw, !entries.isEmpty else { return (entries, nil) }
            return (entries, try await RawBatch.find(batchID, connection))
        }
        guard !entries.isEmpty else {
            throw Problem(.notFound, "no record \(row) of batch \(batchText) went into the dataset \(name)")
        }
        let raw = try await withTaskExecutorPreference(globalConcurrentExecutor) {
            try batch?.record(row, limit: Self.frameLimit)
        }
        return .list(entries.map { $0.json(batchID, row, raw) }, nextCursor: nil)
    }
}

/// A batch's raw bytes, as far as they are there.
private enum RawBatch: Sendable {
    /// The encoded frame.
    case kept([UInt8])
    /// Gone; with the time, where it is known, in µs since 2000-01-01 UTC.
    case expired(Int64?)

    static func find(_ id: Int64, _ connection: PostgresConnection) async throws -> RawBatch {
        if let body = try await connection.query(FindRawBatch(batchID: id)).first { return .kept(body) }
        return .expired(try await connection.query(FindRawExpiry(batchID: id)).first)
    }

    func record(_ row: Int, limit: Int) throws -> RawRecord {
        switch self {
        case .kept(let body):
            switch try BatchFrame(decoding: body, limit: limit).record(row) {
            case let bytes where bytes.isEmpty: .erased
            case let bytes: .kept(Array(bytes))
            }
        case .expired(let time): .expired(time)
        }
    }
}

/// One record of a ``RawBatch``.
private enum RawRecord: Sendable {
    case kept([UInt8])
    case erased
    case expired(Int64?)

    var members: [(String, JSONValue)] {
        switch self {
        case .kept(let bytes):
            [("raw", .string(String(decoding: bytes, as: UTF8.self)))]
                + (RawText.base64(bytes).map { [("raw_base64", $0)] } ?? [])
        case .erased: [("raw", .null)]
        case .expired(let time):
            [("raw", .null), ("raw_expired_at", time.map(JSONValue.timestamp) ?? .null)]
        }
    }
}

extension RowsPage {
    /// The page of a dataset that has no table yet.
    static func empty(_ query: RowsQuery) -> RowsPage {
        let columns = query.columns.map { NamedColumn($0.name, .nulls($0.type, count: 0)) }
        return RowsPage(batch: RecordBatch(rows: [], columns: columns))
    }
}

extension LineageEntry {
    /// `raw` is nil where the key may not see it.
    fileprivate func json(_ batchID: Int64, _ row: Int, _ raw: RawRecord?) -> JSONValue {
        let receipt = uploadID.map { ReceiptID.upload($0) } ?? .coalesced(batch: batchID, ordinal: ordinal)
        let members: [(String, JSONValue)] = [
            ("batch", .string(String(batchID))), ("row", .number(row)), ("pipeline", .string(pipeline)),
            ("version", .optional(version)), ("output", .number(output)), ("state", .string(state)),
            ("source", .string(source)), ("request", .string(requestID)), ("receipt", .string(receipt.description)),
            ("trace_id", .optional(traceID)), ("received_at", .timestamp(receivedAt)),
            ("stored_at", storedAt.map(JSONValue.timestamp) ?? .null),
        ]
        return .object(JSONObject(members + (raw?.members ?? [])))
    }
}
