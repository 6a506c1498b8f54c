import HTTP
import HTTPServer
import JSON
import Postgres

extension EndpointTemplate.Faults {
    /// Of a definition that is put: every mistake, each with its place in the text.
    var problem: Problem {
        let errors = all.map { FieldFault(path: "sql", message: "\($0.message), at character \($0.position)") }
        let more = all.count > 1 ? " (and \(all.count - 1) more)" : ""
        return Problem(
            .invalidEndpoint, (errors.first?.description ?? "") + more, errors: errors,
            extensions: [("position", .number(all.first?.position ?? 1))])
    }
}

/// Errors of an endpoint's statement, which its author wrote otherwise than it was sent.
enum EndpointProblems {
    /// The error with its position in the author's text.
    static func explaining(_ error: any Error, _ template: EndpointTemplate) -> any Error {
        switch error {
        case var refusal as QueryGuard.Refusal:
            refusal.position = refusal.position.map(template.position(ofStatement:))
            return refusal
        case var error as PostgresError:
            error.position = error.position.map(template.position(ofStatement:))
            return QueryFailure(error)
        default: return error
        }
    }

    /// What a query is refused for is, in a definition, a mistake of the definition.
    static func refusing(_ error: any Error) -> any Error {
        guard let problem = (error as? any ProblemConvertible)?.problem else { return error }
        let isDefinition = [.invalidQuery, .queryNotAllowed, .queryFailed].contains(problem.code)
        guard isDefinition else { return error }
        return Problem(
            .invalidEndpoint, problem.detail, errors: [FieldFault(path: "sql", message: problem.detail)],
            extensions: problem.extensions.members.map { ($0.key, $0.value) })
    }

    /// The status of an error's answer.
    static func status(of error: any Error) -> HTTPStatus {
        let problem = error as? Problem ?? (error as? any ProblemConvertible)?.problem
        return problem?.status ?? ProblemCode.internalError.status
    }
}
