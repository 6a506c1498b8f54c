public import HTTP
public import HTTPServer
import JSON

/// Who sends a request: a key, with its workspace and what it may do. One object for all requests of a key, for as long
/// as the key is remembered.
public final class Principal: Sendable, Equatable {
    /// The workspace that everything begins in, and whose administrator administers the platform.
    public static let firstWorkspace = "default"

    public let workspaceID: Int64
    public let workspace: String
    public let keyID: Int64
    public let scopes: ScopeSet
    public let limits: KeyLimits
    /// Whom a token of an issuer is about, which has no key (`keyID` is 0); nil for a key.
    public let subject: String?

    public init(
        workspaceID: Int64, workspace: String, keyID: Int64, scopes: ScopeSet, limits: KeyLimits = .none,
        subject: String? = nil
    ) {
        self.subject = subject
        self.workspaceID = workspaceID
        self.workspace = workspace
        self.keyID = keyID
        self.scopes = scopes
        self.limits = limits
    }

    public static func == (left: Principal, right: Principal) -> Bool {
        left.workspaceID == right.workspaceID && left.workspace == right.workspace && left.keyID == right.keyID
            && left.scopes == right.scopes && left.limits == right.limits && left.subject == right.subject
    }

    /// Whether it may make workspaces and see to what belongs to none.
    public var administersPlatform: Bool {
        workspace == Self.firstWorkspace && scopes.allows("admin")
    }

    /// Throws `forbidden` unless the key has the scope: for what a route decides by its request's content.
    public func require(_ scope: String) throws(Problem) {
        if !scopes.allows(scope) { throw .missingScope(scope) }
    }

    /// The same for the scope on a resource of this name.
    public func require(_ scope: String, on name: String) throws(Problem) {
        if !scopes.allows(scope, on: name) { throw .missingScope(scope, on: name) }
    }
}

extension Request {
    /// Who sends it; throws `unauthorized` where authentication has not run, as on a public route.
    public func principal() throws(Problem) -> Principal {
        guard let principal = context.principal as? Principal else {
            throw Problem(.unauthorized, "this needs a key")
        }
        return principal
    }
}

extension Problem {
    /// 403 that names the scope, in the document and as RFC 6750, section 3.1, has it.
    static func missingScope(_ scope: String, on name: String? = nil) -> Problem {
        let place = name.map { " for \"\($0.prefix(64))\"" } ?? ""
        var problem = Problem(
            .forbidden, "the key needs the scope \(scope)\(place)", extensions: [("scope", .string(scope))])
        problem.headers["www-authenticate"] = "Bearer error=\"insufficient_scope\", scope=\"\(scope)\""
        return problem
    }
}
