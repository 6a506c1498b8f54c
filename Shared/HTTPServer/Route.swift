public import HTTP

/// One method of one path, with what it does and how it is described.
public final class Route: Sendable {
    public typealias Handler = nonisolated(nonsending) @Sendable (Request) async throws -> Response

    public let method: HTTPMethod
    /// Segments separated by `/`; `{name}` stands for any one segment: `/v1/ingest/{source}`.
    public let pattern: String
    /// The scope a key needs; nil for a public route.
    public let scope: String?
    /// Octets of the body; nil for the server's own limit.
    public let bodyLimit: Int?
    public let operation: Operation
    public let handler: Handler

    public init(
        _ method: HTTPMethod, _ pattern: String, scope: String?, bodyLimit: Int? = nil, operation: Operation,
        handler: @escaping Handler
    ) {
        self.method = method
        self.pattern = pattern
        self.scope = scope
        self.bodyLimit = bodyLimit
        self.operation = operation
        self.handler = handler
    }
}
