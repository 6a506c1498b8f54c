import Catalog
public import HTTP
public import HTTPServer
import JSON
public import Records

extension RecordsError: ProblemConvertible {
    public var problem: Problem { Problem(self) }
}

extension AdmissionState.Refusal: ProblemConvertible {
    var problem: Problem {
        switch self {
        case .storageFull(let bytes, let limit):
            Problem(.storageFull, "landing holds \(bytes) bytes of at most \(limit)", retryAfter: .seconds(30))
        case .lagging(let lag, let limit):
            Problem(
                .lagging,
                "the source's oldest record has waited \(lag.components.seconds) s of at most "
                    + "\(limit.components.seconds) s", retryAfter: .seconds(5))
        case .backlog(let bytes, let limit):
            Problem(
                .lagging, "\(bytes) raw bytes of the source wait to be stored, of at most \(limit)",
                retryAfter: .seconds(5))
        case .tooFast(let limit, let unit, let wait):
            Problem(.rateLimited, "the source may send \(limit) \(unit) a second", retryAfter: wait)
        }
    }
}

extension TooBusy: ProblemConvertible {
    var problem: Problem { Problem(.overloaded, reason, retryAfter: .seconds(1)) }
}

extension IncomingBody.TooLarge: ProblemConvertible {
    var problem: Problem { RequestBody.tooLarge(limit) }
}

extension Intake.EmptyBody: ProblemConvertible {
    var problem: Problem { Problem(.emptyBody, reason) }
}

extension StreamEnvelope.Malformed: ProblemConvertible {
    var problem: Problem { Problem(.malformedBody, reason) }
}

extension StreamState.Gap: ProblemConvertible {
    var problem: Problem {
        Problem(
            .outOfSequence, "message \(received) came where \(expected) was expected",
            extensions: [("expected", .number(expected))])
    }
}

extension StreamIntake.TakenOver: ProblemConvertible {
    var problem: Problem { Problem(.streamTakenOver, "a later connection has the same stream id") }
}

extension StreamIntake.SourceGone: ProblemConvertible {
    var problem: Problem { Problem(.conflict, "the source was deleted; connect anew to begin one") }
}

extension Upload.Lost: ProblemConvertible {
    var problem: Problem {
        Problem(
            .uploadExpired, "the body stood still for a minute, and a retry took its Idempotency-Key",
            retryAfter: .seconds(1))
    }
}

extension Problem {
    static let idempotencyInProgress = Problem(
        .idempotencyInProgress, "wait for the first request with this key, then repeat yours", retryAfter: .seconds(1))
    static let idempotencyMismatch = Problem(
        .idempotencyMismatch, "the first request with this key had another body or Content-Type")
}
