import Access
import Catalog
import HTTP
import HTTPServer
import JSON

/// `/v1/session`: a key exchanged for a browser's cookie, and back.
struct SessionRoutes: Sendable {
    /// Octets of a body.
    private static let bodyLimit = 4096

    let sessions: Sessions
    let audit: AuditTrail

    func begin(_ request: Request) async throws -> Response {
        // Where a browser sends it, it is to be one of our own pages: nobody is signed in as somebody else unawares.
        if request.head.contains("origin") || request.head.contains("sec-fetch-site") {
            do {
                try SameOrigin.check(request.head)
            } catch {
                audit.session(request, nil, .forbidden)
                throw error
            }
        }
        let key = try await Self.key(request)
        guard let key, let (session, cookie) = try await sessions.begin(key, request) else {
            audit.session(request, nil, .unauthorized)
            throw Problem(.unauthorized, "the key is not valid")
        }
        audit.session(request, session.principal, .created)
        return .json(.created, session.json, headers: ["set-cookie": cookie, "cache-control": "no-store"])
    }

    func get(_ request: Request) async throws -> Response {
        .json(.ok, try await sessions.find(request).json, headers: ["cache-control": "no-store"])
    }

    func end(_ request: Request) async throws -> Response {
        let who = try? await sessions.find(request).principal
        try await sessions.end(request)
        audit.session(request, who, .noContent)
        let removal = SessionCookie.removal(isSecure: request.isSecure)
        return Response(.noContent, headers: ["set-cookie": removal, "cache-control": "no-store"])
    }

    /// The body's key where there is a body, else that of `Authorization`; nil for what has not the form of one.
    private static func key(_ request: Request) async throws -> APIKey? {
        guard request.body.contentLength != 0 else { return Sessions.key(of: request) }
        let fields = try await request.fields(limit: bodyLimit)
        let text = fields.required("key", String.self)
        try fields.finish()
        return APIKey(text)
    }
}

extension Sessions.Session {
    fileprivate var json: JSONValue {
        [
            "workspace": .string(principal.workspace), "scopes": .array(principal.scopes.names.map { .string($0) }),
            "expires_at": expiresAt.map(JSONValue.timestamp) ?? .null,
        ]
    }
}
