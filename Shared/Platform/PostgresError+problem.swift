public import HTTP
public import HTTPServer
public import Postgres

extension PostgresError: ProblemConvertible {
    /// A database that is away, has no connection left, or whose disk is full or fails, is 503 with `Retry-After`; a
    /// lock that others hold is 409; anything else is ours.
    public var problem: Problem {
        if sqlstate == .diskFull {
            return Problem(.databaseUnavailable, "the database's disk is full", retryAfter: .seconds(10))
        }
        if isUnavailable || code == .commitUnknown {
            return Problem(
                .databaseUnavailable, "the database cannot be reached; whether the request took effect is not known",
                retryAfter: .seconds(1))
        }
        if sqlstate == .lockNotAvailable || sqlstate == .deadlockDetected {
            return Problem(.conflict, "others are at work on the same; repeat the request", retryAfter: .seconds(1))
        }
        if code == .timedOut {
            return Problem(.timeout, "the database did not answer in time", retryAfter: .seconds(1))
        }
        return Problem(.internalError, "the request failed; its id is in the logs")
    }
}
