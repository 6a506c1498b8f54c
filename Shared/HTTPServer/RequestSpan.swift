import EventLoop
import HTTP
import Observability

/// A request as a span, with the names of OpenTelemetry's conventions for HTTP.
enum RequestSpan {
    /// Nil for what looks after the service itself: probes would be most of all spans.
    static func make(
        _ request: Request, _ status: HTTPStatus, _ sizes: RequestSizes, since start: LoopTime, after time: LoopInterval
    ) -> TraceSpan? {
        if request.route?.operation.tag == StandardRoutes.tag { return nil }
        let context = request.context
        let method = HTTPMethod.known.contains(request.method) ? request.method.description : "_OTHER"
        let began = Tracer.now() - (LoopTime.now - start).nanoseconds
        var span = TraceSpan(
            request.route.map { "\(method) \($0.pattern)" } ?? method, .server, context.trace,
            parent: context.parentSpan, start: began)
        span.end = began + time.nanoseconds
        span.attributes = [
            ("http.request.method", .string(method)), ("http.response.status_code", .int(status.code)),
            ("url.path", .string(request.head.loggedPath)), ("client.address", .string(request.clientAddress)),
            ("http.request.body.size", .int(sizes.received)), ("http.response.body.size", .int(sizes.sent)),
            ("millrace.request_id", .string(context.requestID)),
        ]
        if let route = request.route { span.attributes.append(("http.route", .string(route.pattern))) }
        if let principal = context.principal?.logged {
            span.attributes.append(("millrace.workspace", .string(principal.workspace)))
            span.attributes.append(("millrace.key_id", .string(principal.key)))
        }
        if status.code >= 500 { span.status = .failed("\(status.code)") }
        return span
    }
}
