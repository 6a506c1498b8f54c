import HTTP
import JSON

extension WebSocketCloseCode {
    /// What a problem is among the close codes: the table of ``WebSocket``.
    init(_ problem: Problem) {
        self =
            switch problem.status.code {
            case 400, 415, 422: .invalidPayload
            case 413: .messageTooBig
            case 503 where problem.code == .shuttingDown: .goingAway
            case 429, 503: .tryAgainLater
            case 500...: .internalError
            default: .policyViolation
            }
    }
}

extension Problem {
    /// A message has no header: `retry_after`, in seconds, takes the place of the field.
    var withRetryAfter: Problem {
        guard let seconds = responseHeaders["retry-after"].flatMap({ Int($0) }) else { return self }
        let members = extensions.members.map { ($0.key, $0.value) } + [("retry_after", .number(seconds))]
        return Problem(code, detail, errors: errors, retryAfter: retryAfter, extensions: members)
    }
}
