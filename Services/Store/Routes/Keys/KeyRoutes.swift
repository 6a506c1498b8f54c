import Access
import Catalog
import HTTP
import HTTPServer
import JSON

/// `/v1/keys`: what requests are authenticated by.
struct KeyRoutes: Sendable {
    static let overlaps = Duration.zero ... .seconds(86_400 * 30)
    static let usualOverlap = Duration.seconds(86_400)

    let store: KeyStore

    func make(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let body = try await request.json()
        let asked = try KeyRequest(body)
        let unknown = ScopeSet.unknown(in: asked.scopes)
        guard unknown.isEmpty else {
            let faults = asked.scopes.indices.filter { unknown.contains(asked.scopes[$0]) }.map {
                FieldFault(path: "scopes[\($0)]", message: "is no scope, or one that cannot be narrowed to names")
            }
            throw Problem(.invalidScope, faults[0].description, errors: faults)
        }
        let repeated = try RepeatedRequest.of(
            request, asked: "make \(String(decoding: body.serialized(), as: UTF8.self))")
        return Self.answer(try await store.make(asked, principal, repeated: repeated))
    }

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "keys")
        let workspace = query.string("workspace")
        let state = query.value("state", oneOf: KeyRecord.State.self)
        try query.finish()
        let keys = try await store.list(
            principal, workspace: workspace, after: page.cursor?.values[0].int.map(Int64.init) ?? 0, state: state,
            limit: page.lookup)
        let (items, next) = page.page(of: keys) { [.number($0.record.id)] }
        return .list(items.map { .object($0.json) }, nextCursor: next)
    }

    func get(_ request: Request) async throws -> Response {
        let found = try await store.find(try Self.id(request), try request.principal())
        return .json(.ok, .object(found.json), headers: Self.tag(found))
    }

    func rotate(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let id = try Self.id(request)
        let fields = JSONFields(request.body.contentLength == 0 ? .object([:]) : try await request.json())
        let overlap = fields.optional("overlap", Duration.self) ?? Self.usualOverlap
        if !Self.overlaps.contains(overlap) { fields.fault("overlap", "must be 0s to 30d") }
        try fields.finish()
        let repeated = try RepeatedRequest.of(request, asked: "rotate \(id) \(overlap)")
        let head = request.head
        let made = try await store.rotate(id, overlap: overlap, principal, repeated: repeated) {
            try EntityTag.check(head, current: $0)
        }
        return Self.answer(made)
    }

    func revoke(_ request: Request) async throws -> Response {
        let head = request.head
        try await store.revoke(try Self.id(request), try request.principal()) { try EntityTag.check(head, current: $0) }
        return .noContent()
    }

    private static func id(_ request: Request) throws(Problem) -> Int64 {
        let text = request.parameter("id")
        guard let id = Int64(text), id > 0 else { throw Problem(.notFound, "there is no key \(text.prefix(64))") }
        return id
    }

    /// The one answer that has a key's text. Nobody on the way may keep it.
    private static func answer(_ made: KeyStore.Made) -> Response {
        var json = made.listed.json
        json["key"] = made.key.map { .string($0.reveal()) } ?? .null
        var headers = tag(made.listed)
        headers["cache-control"] = "no-store"
        headers["location"] = "/v1/keys/\(made.listed.record.id)"
        if made.key == nil { headers["idempotent-replayed"] = "true" }
        return .json(.created, .object(json), headers: headers)
    }

    private static func tag(_ key: ListedKey) -> HTTPHeaders {
        ["etag": EntityTag(version: key.record.version).text]
    }
}

extension ListedKey {
    fileprivate var json: JSONObject {
        func id(_ id: Int64?) -> JSONValue { id.map { .string(String($0)) } ?? .null }
        func time(_ time: Int64?) -> JSONValue { time.map(JSONValue.timestamp) ?? .null }
        return JSONObject([
            ("id", id(record.id)), ("name", .string(record.name)), ("workspace", .string(workspace)),
            ("prefix", .string(record.prefix)), ("scopes", .array(record.scopes.map { .string($0) })),
            ("limits", record.limits.json), ("state", .string(record.state.rawValue)),
            ("version", .number(record.version)), ("replaces", id(record.replaces)), ("made_by", id(record.madeBy)),
            ("created_at", .timestamp(record.createdAt)), ("expires_at", time(record.expiresAt)),
            ("revoked_at", time(record.revokedAt)), ("last_used_at", time(record.lastUsedAt)),
        ])
    }
}
