import HTTP
import JSON
import Observability
import Postgres
import Queue
import Records

/// Does the jobs of kind `run.start`, which schedules make: each makes one run, in the transaction that settles the
/// job.
///
/// `{"pipeline": id, "action": "replay", "window_seconds": n, "schedule": {"name", "scheduled_at"}}` replays the
/// batches received in the `n` seconds before `scheduled_at`. Those whose raw bytes have expired are left out. With the
/// action `run` and no window it runs a pipeline over its dataset. While another run of the pipeline is in the way, the
/// job is tried again.
struct RunStartHandler: JobHandler {
    /// How long an overlapping run is given before the next look.
    static let patience = Duration.seconds(30)

    let starter: RunStarter
    let tables: TableRunStarter
    let wakeup: Wakeup
    let logger: Logger

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            do {
                let arguments = try RunStartArguments(job)
                try await lease.transaction(settling: [job]) { connection in
                    switch arguments.request {
                    case .replay(let request):
                        _ = try await starter.replay(request, of: arguments.pipeline, connection)
                    case .run(let request):
                        _ = try await tables.start(request, of: arguments.pipeline, connection)
                    }
                }
                wakeup.notify("transform")
            } catch let error as QueueError where error.code == .leaseLost {
                return logger.warning("transform.lease_lost", ["jobs": .int(jobs.count)])
            } catch let refusal as RunRefusal {
                await lease.fail(job, Self.failure(refusal))
            } catch let refusal as TableRunRefusal {
                await lease.fail(job, Self.failure(refusal))
            } catch {
                await lease.fail(job, JobFailure(error))
            }
        }
    }

    private static func failure(_ refusal: TableRunRefusal) -> JobFailure {
        if case .going = refusal {
            return JobFailure(code: "conflict", message: refusal.description, retryAfter: patience)
        }
        return JobFailure(code: "refused", message: refusal.description, isPermanent: true)
    }

    private static func failure(_ refusal: RunRefusal) -> JobFailure {
        if case .overlap = refusal {
            return JobFailure(code: "conflict", message: refusal.description, retryAfter: patience)
        }
        return JobFailure(code: "refused", message: refusal.description, isPermanent: true)
    }
}

/// The arguments of a `run.start` job.
struct RunStartArguments: Sendable {
    enum Request: Sendable {
        case replay(ReplayRequest)
        case run(TableRunRequest)
    }

    var pipeline: Int64
    var request: Request

    /// - Throws: a permanent ``JobFailure`` that names each fault.
    init(_ job: Job) throws(JobFailure) {
        do {
            let value = try JSONValue.parse(job.arguments)
            let fields = JSONFields(value)
            pipeline = fields.required("pipeline", Int64.self)
            let action = fields.required("action", oneOf: ScheduleDefinition.Action.self)
            let window = fields.optional("window_seconds", Int64.self) ?? 0
            if action == .replay, !(1...3_155_760_000).contains(window) {
                fields.fault("window_seconds", "expected 1 to 3155760000")
            }
            let schedule = fields.object("schedule")
            _ = schedule.required("name", String.self)
            let end = schedule.time("scheduled_at") ?? 0
            try fields.finish()
            switch action {
            case .run: request = .run(TableRunRequest(json: value, schedule: value["schedule"]))
            case .replay:
                let (start, overflow) = end.subtractingReportingOverflow(window * 1_000_000)
                request = .replay(
                    ReplayRequest(
                        batches: .received((overflow ? .min : start)..<end), json: value, schedule: value["schedule"],
                        skipsExpired: true))
            }
        } catch {
            throw JobFailure(code: "invalid_arguments", message: "\(error)", isPermanent: true)
        }
    }
}

extension JSONFields {
    /// A required time as RFC 3339 has it, in µs since 2000-01-01 UTC; nil where it is missing or wrong.
    func time(_ name: String) -> Int64? {
        let expectation = "a time such as 2026-01-31T12:00:00Z"
        guard let text = optional(name, String.self) else {
            if !has(name) { fault(name, "missing; expected \(expectation)") }
            return nil
        }
        if let time = TextInput.rfc3339(text.utf8.span) { return time }
        fault(name, "expected \(expectation)")
        return nil
    }
}
