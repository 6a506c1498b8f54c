public import HTTP

/// One method of one path, with what it does and how it is described.
public final class Route: Sendable {
    public typealias Handler = nonisolated(nonsending) @Sendable (Request) async throws -> Response

    public let method: HTTPMethod
    /// Segments separated by `/`; `{name}` stands for any one segment: `/v1/ingest/{source}`.
    public let pattern: String
    /// The scope a key needs; nil for a public route.
    public let scope: String?
    /// One with which the answer shows more; nil where it is the same for all who have `scope`.
    public let wideningScope: String?
    /// Whether a key will do whose scope is narrowed to names.
    public let reach: Reach
    /// Octets of the body; nil for the server's own limit.
    public let bodyLimit: Int?
    public let operation: Operation
    public let handler: Handler

    /// What a route is about, for keys whose scopes are narrowed to names of resources.
    public enum Reach: Sendable, Hashable {
        /// The resource that this parameter of the path names.
        case named(by: String)
        /// More than one name: the key needs the scope for all of them.
        case whole
        /// The names that the handler finds out: it lets through no more than the key's scope is for.
        case handler
    }

    /// Where `reach` is left out, it is the resource that `{name}`, `{source}` or `{dataset}` of the path names, and
    /// `whole` without one.
    public init(
        _ method: HTTPMethod, _ pattern: String, scope: String?, wideningScope: String? = nil, reach: Reach? = nil,
        bodyLimit: Int? = nil, operation: Operation, handler: @escaping Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.scope = scope
        self.wideningScope = wideningScope
        self.reach = reach ?? Route.usualReach(pattern)
        self.bodyLimit = bodyLimit
        self.operation = operation
        self.handler = handler
    }

    private static func usualReach(_ pattern: String) -> Reach {
        let names = RoutePattern(pattern).names
        return names.first { ["name", "source", "dataset"].contains($0) }.map(Reach.named) ?? .whole
    }
}
