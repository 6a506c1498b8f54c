import HTTP
import HTTPServer
import JSON
import Platform
import Postgres

extension QueryGuard.Refusal: ProblemConvertible {
    /// A text that is no SQL is the user's mistake; SQL that is not allowed is refused.
    var problem: Problem {
        var extensions: [(String, JSONValue)] = []
        switch kind {
        case .notAllowed: break
        case .syntax: extensions.append(("sqlstate", "42601"))
        case .tooComplex: extensions.append(("sqlstate", "54001"))
        case .parameters: extensions.append(("sqlstate", "42P02"))
        }
        if let position { extensions.append(("position", .number(position))) }
        return Problem(kind == .notAllowed ? .queryNotAllowed : .invalidQuery, message, extensions: extensions)
    }
}

extension QueryEngine.AmbiguousColumn: ProblemConvertible {
    var problem: Problem {
        Problem(
            .invalidQuery, "two columns are named \"\(name)\"; tell them apart by AS",
            extensions: [("sqlstate", "42701")])
    }
}

extension TooManyQueries: ProblemConvertible {
    var problem: Problem {
        Problem(.rateLimited, "the workspace has too many queries running", retryAfter: .seconds(1))
    }
}

extension ClientGone: ProblemConvertible {
    /// Nobody reads it; the access log does.
    var problem: Problem { Problem(.incompleteBody, "the client has gone") }
}

/// An error of the database while a user's statement runs, as a problem: most are about the statement.
struct QueryFailure: Error, ProblemConvertible {
    let error: PostgresError

    init(_ error: PostgresError) {
        self.error = error
    }

    /// The errors of the database are about the user's statement; others stay what they are.
    @Sendable static func explaining(_ error: any Error) -> any Error {
        (error as? PostgresError).map { QueryFailure($0) } ?? error
    }

    var problem: Problem {
        guard error.code == .server, let sqlstate = error.sqlstate, !sqlstate.isConnectionFault else {
            if error.code == .timedOut { return Problem(.queryTimeout, "the query did not end within its timeout") }
            if error.code == .rowTooLarge { return Problem(.queryFailed, error.message) }
            return error.problem
        }
        return Problem(
            code(for: sqlstate), detail, retryAfter: code(for: sqlstate) == .overloaded ? .seconds(1) : nil,
            extensions: extensions(sqlstate))
    }

    private var detail: String {
        if error.sqlstate == .queryCanceled { return "the query did not end within its timeout" }
        if error.sqlstate == .outOfMemory { return Self.outOfMemory }
        var text = error.message
        if let detail = error.detail { text += "; \(detail)" }
        let hint = error.hint ?? (error.sqlstate == .undefinedTable ? Self.noTable : nil)
        if let hint { text += " (\(hint))" }
        return text
    }

    private static let noTable = "a dataset's table is made when the first record is stored in it"

    /// Where the server says how much it asked for in vain, and in which of its own contexts, is of no use to a user.
    static let outOfMemory =
        "the query needs more memory than a process of the database may have: ask for less at a time, and collect "
        + "fewer or shorter values"

    private func extensions(_ sqlstate: SQLState) -> [(String, JSONValue)] {
        var extensions: [(String, JSONValue)] = [("sqlstate", .string(sqlstate.code))]
        if let position = error.position { extensions.append(("position", .number(position))) }
        return extensions
    }

    private func code(for sqlstate: SQLState) -> ProblemCode {
        switch sqlstate.code {
        case "57014": return .queryTimeout
        case "53200": return .queryTooLarge
        case "42501", "25006": return .queryNotAllowed
        case "55P03", "40001", "40P01": return .overloaded
        default: break
        }
        switch sqlstate.classCode {
        case "42", "0A", "3F", "26", "34": return .invalidQuery
        default: return .queryFailed
        }
    }
}
