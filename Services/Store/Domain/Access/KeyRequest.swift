import Access
import HTTP
import HTTPServer
import JSON
import Records

/// What `POST /v1/keys` asks for.
struct KeyRequest: Sendable {
    static let longestName = 100
    static let lifetimes = Duration.seconds(60) ... .seconds(86_400 * 3650)

    var name: String
    var scopes: [String]
    var limits: KeyLimits
    /// Nil: for as long as the key that asks.
    var lifetime: Duration?
    /// The workspace it is for; nil: that of the key that asks.
    var workspace: String?

    init(_ body: JSONValue) throws(FieldFaults) {
        let fields = JSONFields(body)
        name = fields.required("name", String.self)
        if !(1...Self.longestName).contains(name.unicodeScalars.count) || name == AdminKey.name {
            fields.fault("name", "must have 1 to \(Self.longestName) characters, and not be \"\(AdminKey.name)\"")
        }
        scopes = fields.required("scopes", [String].self)
        if !(1...ScopeSet.maximumCount).contains(scopes.count), fields.has("scopes") {
            fields.fault("scopes", "must have 1 to \(ScopeSet.maximumCount) items")
        }
        limits = fields.optionalObject("limits").map { KeyLimits($0) } ?? .none
        lifetime = fields.optional("expires_in", Duration.self)
        if let lifetime, !Self.lifetimes.contains(lifetime) {
            fields.fault("expires_in", "must be 1m to 3650d")
        }
        workspace = fields.optional("workspace", String.self)
        try fields.finish()
    }
}

/// A request's `Idempotency-Key`, with the fingerprint of what it asks for.
enum RepeatedRequest {
    /// Nil where the request has no key. `asked` is all that tells it from another request.
    static func of(_ request: Request, asked: String) throws(Problem) -> (key: String, fingerprint: [UInt8])? {
        guard let key = try request.idempotencyKey() else { return nil }
        var digest = SHA256Digest()
        digest.update(Array(asked.utf8))
        return (key, digest.finish())
    }
}
