public import HTTP

/// A request as a handler sees it.
public struct Request: Sendable {
    public let head: HTTPRequestHead
    public var body: RequestBody
    public var context: RequestContext
    /// The route that it matched, so that middleware can tell scopes, limits and labels; nil for 404 and 405.
    public internal(set) var route: Route?
    /// The values of the route pattern's names.
    public internal(set) var parameters: PathParameters

    /// The route's place in the router's table.
    var routeIndex: Int?
    /// Why there is no route.
    var unrouted = Unrouted.unknown

    /// What became of a path that leads to no route.
    enum Unrouted: Sendable {
        case unknown
        /// The path is known, the method is not.
        indirect case otherMethods(allow: String)
        /// The path could not be read.
        indirect case invalid(Problem)
    }

    public init(_ head: HTTPRequestHead, body: RequestBody = RequestBody(), context: RequestContext) {
        self.head = head
        self.body = body
        self.context = context
        route = nil
        parameters = PathParameters()
    }

    public var method: HTTPMethod { head.method }

    /// Whom the request comes from, as text: the peer, or whom a trusted proxy names. Found out each time it is asked
    /// for, which for most requests is never.
    public var clientAddress: String { context.origin.trustedProxies.client(of: head, peer: context.peerAddress) }

    /// Whether the client came by TLS: to this server, or to a proxy that is trusted.
    public var isSecure: Bool {
        context.origin.isTLS || context.origin.trustedProxies.saysHTTPS(head, peer: context.peerAddress)
    }

    /// The value of a name in the route's pattern.
    /// - Precondition: the pattern has the name; a test goes through all routes.
    public func parameter(_ name: String) -> String {
        guard let value = parameters[name] else { preconditionFailure("the route has no parameter \(name)") }
        return value
    }
}
