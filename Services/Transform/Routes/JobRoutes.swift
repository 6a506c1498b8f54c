import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Queue

/// `/v1/jobs`: what became of each, tried again or cancelled. A job is seen by its workspace, and by the platform's
/// administrator.
struct JobRoutes: Sendable {
    let inspector: QueueInspector
    let wakeup: Wakeup

    /// Attempts that a job's history shows: the last ones. As many that run, and results of an array's slices.
    static let historyLimit = 100

    func list(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let query = try request.query()
        let page = try PageRequest(query, list: "jobs")
        var filter = JobFilter(
            workspace: principal.administersPlatform ? nil : principal.workspaceID, queue: query.string("queue"),
            kind: query.string("kind"))
        if let text = query.string("state") {
            filter.state = JobState(rawValue: text)
            if filter.state == nil {
                query.fault("state", "is none of \(JobState.allCases.map(\.rawValue).joined(separator: ", "))")
            }
        }
        try query.finish()
        let before = page.cursor?.values[0].int.map(Int64.init) ?? .max
        let found = try await inspector.jobs(filter, before: before, limit: page.limit)
        return .list(found.jobs.map(\.json), nextCursor: found.next.map { page.cursor(at: [.number($0)]) })
    }

    func get(_ request: Request) async throws -> Response {
        let report = try await find(request)
        let outcomes = try await inspector.outcomes(of: report.id, limit: Self.historyLimit)
        let running =
            report.state == .running ? try await inspector.attempts(of: report.id, limit: Self.historyLimit) : []
        var results: JSONValue = .null
        if report.array != nil {
            let found = try await inspector.results(of: report.id, limit: Self.historyLimit)
            results = ["count": .number(found.count), "items": .array(found.first.map(\.json))]
        }
        return .json(.ok, report.json(outcomes, running, results))
    }

    func cancel(_ request: Request) async throws -> Response {
        let report = try await find(request)
        var result = try await inspector.cancel(report.id)
        if result == .stopped {
            wakeup.cancelled(report.id, of: report.queue)
            result = .cancelled
        }
        // Its permit or its end may have let others go on.
        if result == .cancelled { wakeup.notify(report.queue) }
        return .json(.ok, ["id": .string(String(report.id)), "result": .string(result.rawValue)])
    }

    func retry(_ request: Request) async throws -> Response {
        let report = try await find(request)
        let redrive = try await inspector.redrive(
            report.queue, jobs: [report.id], limit: QueueRoutes.redriveLimit)
        if let holder = redrive.held[report.id] {
            throw Problem(
                .conflict,
                "job \(holder) has the job's unique key \(report.uniqueKey ?? ""): once it has ended, this one can be "
                    + "tried again")
        }
        guard redrive.jobs.contains(report.id) else {
            throw Problem(.conflict, "the job is \(report.state.rawValue); only a dead one can be tried again")
        }
        wakeup.notify(report.queue)
        return .json(.ok, ["id": .string(String(report.id)), "result": "ready"])
    }

    private func find(_ request: Request) async throws -> JobReport {
        let principal = try request.principal()
        let text = request.parameter("id")
        guard let id = Int64(text), let report = try await inspector.job(id),
            principal.administersPlatform || report.workspace == principal.workspaceID
        else { throw Problem(.notFound, "there is no job \(text)") }
        return report
    }
}

extension JobSummary {
    fileprivate var json: JSONValue {
        [
            "id": .string(String(id)), "queue": .string(queue), "kind": .string(kind), "state": .string(state.rawValue),
            "priority": .number(priority), "enqueued_at": .timestamp(enqueuedAt), "error": .optional(error),
        ]
    }
}

extension JobReport {
    fileprivate func json(_ outcomes: [JobOutcome], _ running: [JobAttempt], _ results: JSONValue) -> JSONValue {
        [
            "id": .string(String(id)), "queue": .string(queue), "kind": .string(kind), "state": .string(state.rawValue),
            "priority": .number(priority), "max_attempts": .number(maxAttempts), "arguments": .stored(arguments),
            "enqueued_at": .timestamp(enqueuedAt), "run_at": runAt.map { .timestamp($0) } ?? .null,
            "trace": .optional(trace), "limit_key": .optional(limitKey), "unique_key": .optional(uniqueKey),
            "waits_for": .array(waitsFor.map { .string(String($0)) }),
            "array": array.map {
                ["items": .number($0.items), "remaining": .number($0.remaining), "failed": .number($0.failed)]
            } ?? .null,
            "progress": progress.map {
                ["fraction": .number($0.fraction), "note": .optional($0.note), "at": .timestamp($0.at)]
            } ?? .null,
            "result": result.map { .stored($0) } ?? .null, "results": results,
            "running": .array(running.map(\.json)), "attempts": .array(outcomes.map(\.json)),
        ]
    }
}

extension JSONValue {
    fileprivate static func stored(_ json: [UInt8]) -> JSONValue { (try? parse(json)) ?? .null }

    /// The items of a slice; null for a job that is no array.
    fileprivate static func slice(_ first: Int32, _ items: Int32) -> JSONValue {
        items == 0 ? .null : ["first": .number(first), "count": .number(items)]
    }
}

extension SliceResult {
    fileprivate var json: JSONValue { ["items": .slice(first, items), "result": .stored(result)] }
}

extension JobAttempt {
    fileprivate var json: JSONValue {
        [
            "attempt": .number(attempt), "worker": .string(worker), "claimed_at": .timestamp(claimedAt),
            "items": .slice(first, items),
        ]
    }
}

extension JobOutcome {
    fileprivate var json: JSONValue {
        [
            "attempt": .number(attempt), "state": .string(state), "error": .optional(error), "at": .timestamp(at),
            "items": .slice(first, items),
        ]
    }
}
