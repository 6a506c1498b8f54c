import HTTP
import JSON
import Observability

/// Turns what handlers throw into `application/problem+json`: the one place that maps errors to HTTP.
///
/// Modules above give their errors a meaning by `ProblemConvertible`; anything else is 500 `internal`, and logged.
enum ProblemMapping {
    static func response(to error: any Error, _ request: Request) -> Response {
        .problem(problem(for: error, request))
    }

    static func problem(for error: any Error, _ request: Request) -> Problem {
        switch error {
        case let problem as Problem: return problem
        case let fault as RequestFault: return fault.problem
        case let faults as FieldFaults: return Problem(faults)
        case let error as JSONError: return Problem(error)
        case let error as any ProblemConvertible:
            let problem = error.problem
            if problem.status.code >= 500 {
                request.context.logger.warning("request.problem", ["error": .string("\(error)")])
            }
            return problem
        case is CancellationError: return Problem(.shuttingDown, "the request was cancelled", retryAfter: .seconds(1))
        default:
            request.context.logger.error("request.failed", ["error": .string("\(error)")])
            return Problem(.internalError, "the request failed; its id is in the logs")
        }
    }
}
