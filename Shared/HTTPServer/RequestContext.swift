public import HTTP
public import Observability

/// What is known about a request besides what it says: set by the connection and by middleware.
public struct RequestContext: Sendable {
    /// `X-Request-Id`, the client's own where it is usable.
    public var requestID: String
    /// This service's span in the client's trace, or in a new one.
    public var trace: TraceContext
    private let serviceLogger: Logger
    /// The address that the connection comes from as text, without its port; empty when it is not known. Who asks may
    /// stand behind it: `Request.clientAddress`.
    public let peerAddress: String
    /// Who asks, once authentication has found out; Access reads it back by its own type.
    public var principal: (any Sendable)?
    /// Whether every answer is logged, or only the server's own faults.
    let logsAccess: Bool
    /// Whose word about the client's address is taken.
    var trustedProxies = TrustedProxies.none
    /// Who can tell that the client has gone; nil where there is no connection.
    var presence: (any ClientPresence)?

    public init(requestID: String, trace: TraceContext, logger: Logger, peerAddress: String = "") {
        self.requestID = requestID
        self.trace = trace
        serviceLogger = logger
        self.peerAddress = peerAddress
        logsAccess = false
    }

    /// The service's logger with the request's and the trace's id; made anew each time it is asked for.
    public var logger: Logger {
        serviceLogger.with(["request.id": .string(requestID), "trace.id": .string(trace.traceID)])
    }

    /// The context of a request as it comes in: takes over its `X-Request-Id` and `traceparent`, or makes them.
    public init(_ head: HTTPRequestHead, logger: Logger, peerAddress: String, logsAccess: Bool = false) {
        requestID = RequestContext.requestID(head) ?? UniqueNumber.nextText()
        trace = head["traceparent"].flatMap(TraceContext.init)?.child() ?? TraceContext.generate()
        serviceLogger = logger
        self.peerAddress = peerAddress
        self.logsAccess = logsAccess
    }

    /// At most 128 visible ASCII octets, so that it can be logged and sent back as it is.
    private static func requestID(_ head: HTTPRequestHead) -> String? {
        guard let given = head.octets(of: "x-request-id"), !given.isEmpty, given.count <= 128,
            given.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") })
        else { return nil }
        return String(decoding: given, as: UTF8.self)
    }
}
