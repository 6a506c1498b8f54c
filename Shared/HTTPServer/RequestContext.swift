public import HTTP
public import Observability

/// What is known about a request besides what it says: set by the connection and by middleware.
public struct RequestContext: Sendable {
    /// The client's own `X-Request-Id` where it is usable.
    let id: RequestID
    /// This service's span in the client's trace, or in a new one.
    public var trace: TraceContext
    /// The client's own span, which this service's is part of; nil where the trace begins here.
    public let parentSpan: SpanID?
    let origin: RequestOrigin
    /// The address that the connection comes from as text, without its port; empty when it is not known. Who asks may
    /// stand behind it: `Request.clientAddress`.
    public let peerAddress: String
    /// Who asks, once authentication has found out; Access reads it back by its own type.
    public var principal: (any RequestPrincipal)?
    /// Fields that the request's answer has besides its own, a refusal as well.
    public var answerFields = HTTPHeaders()
    /// Nil where there is no connection.
    let connection: ConnectionReference?
    /// The request's number on its connection.
    let serial: Int

    /// The context of a request that came over no connection, for tests and for requests made in code.
    public init(
        _ head: HTTPRequestHead, logger: Logger, peerAddress: String, trustedProxies: TrustedProxies = .none
    ) {
        let origin = RequestOrigin(logger: logger, logsAccess: false, trustedProxies: trustedProxies)
        var numbers = UniqueNumbers()
        self.init(head, origin, &numbers, peerAddress, nil, 0)
    }

    /// The context of a request as it comes in: takes over its `X-Request-Id` and `traceparent`, or makes them.
    init(
        _ head: HTTPRequestHead, _ origin: RequestOrigin, _ numbers: inout UniqueNumbers, _ peerAddress: String,
        _ connection: ConnectionReference?, _ serial: Int
    ) {
        id = RequestContext.requestID(head) ?? .made(numbers.next())
        let given = head["traceparent"].flatMap(TraceContext.init)
        trace =
            given?.child(&numbers) ?? TraceContext.generate(&numbers, by: origin.tracer?.sampler ?? .none)
        parentSpan = given?.spanID
        self.origin = origin
        self.peerAddress = peerAddress
        self.connection = connection
        self.serial = serial
    }

    /// `X-Request-Id` as text.
    public var requestID: String { id.description }

    /// The service's logger with the request's and the trace's id; made anew each time it is asked for.
    public var logger: Logger {
        origin.logger.with(["request.id": .string(requestID), "trace.id": .string(trace.traceID)])
    }

    /// At most 128 visible ASCII octets, so that it can be logged and sent back as it is.
    private static func requestID(_ head: HTTPRequestHead) -> RequestID? {
        guard let given = head.octets(of: "x-request-id"), !given.isEmpty, given.count <= 128,
            given.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return .given(String(decoding: given, as: UTF8.self))
    }
}

/// What is the same for all requests of a server.
final class RequestOrigin: Sendable {
    let logger: Logger
    /// Whether every answer is logged, or only the server's own faults.
    let logsAccess: Bool
    /// Whose word about the client's address is taken.
    let trustedProxies: TrustedProxies
    /// Whether the server speaks TLS itself.
    let isTLS: Bool
    /// Where spans go; nil where traces are not recorded.
    let tracer: Tracer?

    init(
        logger: Logger, logsAccess: Bool, trustedProxies: TrustedProxies, isTLS: Bool = false, tracer: Tracer? = nil
    ) {
        self.logger = logger
        self.logsAccess = logsAccess
        self.trustedProxies = trustedProxies
        self.isTLS = isTLS
        self.tracer = tracer
    }
}

/// Who asks, as logs and traces name them: never a secret.
public protocol RequestPrincipal: AnyObject, Sendable {
    var logged: (workspace: String, key: String) { get }
}
