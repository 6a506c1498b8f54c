public import HTTP
public import HTTPServer
public import Observability

/// Says in the log who did what, from where, with which key and with what result: a JSON line `audit` for each request
/// that it is about. Never a key, a token, a query or a body.
///
/// The lines go where all others do, standard error, whatever level is set for those; whoever collects them only
/// appends. In the sink's buffer those of known principals have room of their own (``Logger/important``); a line that
/// finds that full as well is dropped and counted with the others. Of requests of nobody knows whom so many are written
/// (``UnknownClients``).
public struct AuditTrail: AnswerObserver {
    public enum Extent: String, CaseIterable, Sendable {
        case off
        /// What changes something but for records that are sent, what shows raw records, and what is refused.
        case changes
        /// Every request with a key.
        case all
    }

    private let extent: Extent
    private let logger: Logger
    /// Counts what is left out; a service that must run.
    public let unknown: UnknownClients

    public init(
        _ extent: Extent, logger: Logger,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }
    ) {
        self.extent = extent
        self.logger = logger
        unknown = UnknownClients(logger, clock: clock)
    }

    public func answered(_ request: Request, _ response: Response) {
        guard let route = request.route, let scope = route.scope else { return }
        let principal = request.context.principal as? Principal
        let showsMore = route.wideningScope.map { principal?.scopes.allowsSome($0) ?? false } ?? false
        let shown = showsMore ? route.wideningScope : scope
        guard concerns(request.method, scope, shown: shown, response.status) else { return }
        record(request, route.operation.id, principal, response.status)
    }

    /// A session of the console that begins or ends; `principal` is nil where nobody knows whose.
    public func session(_ request: Request, _ principal: Principal?, _ status: HTTPStatus) {
        guard extent != .off, let route = request.route else { return }
        record(request, route.operation.id, principal, status)
    }

    private func concerns(_ method: HTTPMethod, _ scope: String, shown: String?, _ status: HTTPStatus) -> Bool {
        switch extent {
        case .off: return false
        case .all: return true
        case .changes:
            if [401, 403, 429].contains(status.code) { return true }
            let isReading = method == .get || method == .head
            return isReading ? shown == "raw:read" : scope != "ingest:write"
        }
    }

    private func record(_ request: Request, _ action: String, _ principal: Principal?, _ status: HTTPStatus) {
        guard principal != nil || unknown.admit() else { return }
        let logger = principal == nil ? logger : logger.important
        logger.info(
            "audit",
            [
                "audit.action": .string(action), "audit.result": .string(Self.result(status)),
                "audit.by": .string(Self.means(request, principal)),
                "audit.subject": .string(principal?.subject ?? ""),
                "key.id": .string(principal.map { $0.subject == nil ? String($0.keyID) : "" } ?? ""),
                "workspace": .string(principal?.workspace ?? ""),
                "http.method": .string(request.method.description), "http.path": .string(request.head.loggedPath),
                "http.status": .int(status.code), "client.address": .string(request.clientAddress),
                "request.id": .string(request.context.requestID), "trace.id": .string(request.context.trace.traceID),
            ])
    }

    private static func result(_ status: HTTPStatus) -> String {
        switch status.code {
        case 401, 403, 429: "refused"
        case 400...499: "rejected"
        case 500...599: "failed"
        default: "done"
        }
    }

    private static func means(_ request: Request, _ principal: Principal?) -> String {
        if principal?.subject != nil { return "token" }
        if request.head.contains("authorization") { return "key" }
        return SessionCookie.token(in: request.head) == nil ? "none" : "session"
    }
}
