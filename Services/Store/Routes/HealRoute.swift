import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// `POST /v1/datasets/{name}/quarantine/replay`: makes the runs, whose work transform and store do.
struct HealRoute: Sendable {
    /// Batches, or codes, that one request names.
    static let batchLimit = 1_000
    static let codeLimit = 100
    /// Jobs of one run at a time in each queue, as a replay's.
    static let parallels = 1...64
    static let defaultParallel: Int32 = 8
    static let longestWait = Duration.seconds(60)
    /// How long a pipeline or the dataset may be locked by others.
    static let lockTimeout = Duration.seconds(5)
    /// Between two looks at the runs, from short to long.
    private static let pauses = (first: Duration.milliseconds(20), last: Duration.milliseconds(500))

    let catalog: DatasetCatalog
    let wakeup: Wakeup

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let wait = query.duration("wait", maximum: Self.longestWait)
        let isDry = query.bool("dry_run") ?? false
        try query.finish()
        let body = request.body.contentLength == 0 ? .object([:]) : try await request.json()
        let dataset = try await catalog.find(name, workspaceID: principal.workspaceID).dataset
        let start = StartHeals(request: try Self.decode(body, dataset.id, name.text, isDry: isDry))
        if let pipeline = start.request.pipeline {
            let find = FindPipelineName(workspaceID: principal.workspaceID, name: pipeline)
            if try await catalog.pool.withConnection({ try await $0.query(find) }).isEmpty {
                let fault = FieldFault(path: "pipeline", message: "there is no pipeline \(pipeline)")
                throw Problem(.invalidRequest, fault.description, errors: [fault])
            }
        }
        let trace = request.context.trace
        let runs = try await catalog.pool.withTransaction { connection in
            try await connection.follow(trace)
            try await connection.query("set local lock_timeout = \(literal: "\(Self.lockTimeout.milliseconds)ms")")
            let made = try await Self.made(start, connection)
            if let other = made.compactMap(\.overlap).first {
                throw Problem(
                    .conflict, "run \(other) is going on over some of these batches",
                    extensions: [("run", .string(String(other)))])
            }
            return made.compactMap(\.run)
        }
        guard let first = runs.first else {
            return .json(.ok, HealReport(hasEnded: true, dead: 0, healed: 0, failing: 0).json(runs))
        }
        wakeup.notify("transform")
        if let wait, let report = try await ended(runs, within: wait) { return .json(.ok, report.json(runs)) }
        return .json(.accepted, ["run": .string(String(first)), "runs": .array(runs.map { .string(String($0)) })])
    }

    private static func made(
        _ start: StartHeals, _ connection: PostgresConnection
    ) async throws -> [(run: Int64?, overlap: Int64?)] {
        do {
            return try await connection.query(start)
        } catch {
            guard error.sqlstate == .lockNotAvailable else { throw error }
            throw Problem(
                .conflict,
                "a run is putting other rows in the place of the dataset's, or the pipeline is being changed; "
                    + "repeat the request")
        }
    }

    static func decode(
        _ body: JSONValue, _ datasetID: Int64, _ dataset: String, isDry: Bool
    ) throws -> HealRequest {
        let fields = JSONFields(body)
        let pipeline = fields.optional("pipeline", String.self)
        if let pipeline, ResourceName(pipeline) == nil { fields.fault("pipeline", "expected a pipeline's name") }
        let batches = fields.optional("batches", [String].self)
        let ids = batches?.compactMap { id in Int64(id).flatMap { $0 > 0 && String($0) == id ? $0 : nil } }
        if let batches, !(1...batchLimit).contains(batches.count) || ids?.count != batches.count {
            fields.fault("batches", "expected the ids of 1 to \(batchLimit) batches")
        }
        let codes = fields.optional("codes", [String].self)
        if let codes, !(1...codeLimit).contains(codes.count) || codes.contains(where: { $0.utf8.contains(0) }) {
            fields.fault("codes", "expected 1 to \(codeLimit) codes")
        }
        let reason = fields.optionalObject("reason").map { HealReason($0) }
        if codes != nil, reason != nil { fields.fault("reason", "does not go with codes") }
        let parallel = fields.optional("max_parallel", Int.self)
        if let parallel, !parallels.contains(parallel) { fields.fault("max_parallel", "must be 1 to 64") }
        try fields.finish()
        return HealRequest(
            datasetID: datasetID, dataset: dataset, pipeline: pipeline, batches: ids,
            codes: reason.map { [$0.code] } ?? codes, reason: reason?.json.serialized(),
            parallel: parallel.map(Int32.init) ?? defaultParallel, isDry: isDry)
    }

    /// What became of the runs; nil when they go on after that time.
    private func ended(_ runs: [Int64], within wait: Duration) async throws -> HealReport? {
        let statement = FindHealReport(runs: runs)
        let deadline = ContinuousClock.now + wait
        var pause = Self.pauses.first
        while true {
            let report = try await catalog.pool.withConnection { try await $0.query(statement).first }
            if let report, report.hasEnded { return report }
            let left = deadline - .now
            guard left > .zero else { return nil }
            try await Task.sleep(for: min(pause, left))
            pause = min(pause * 2, Self.pauses.last)
        }
    }
}

/// A reason of which `…/quarantine/reasons` counts the records: a step or a column that is null is none.
struct HealReason: Sendable {
    var code: String
    var step: String?
    var column: String?
    var stage: RowRoutes.Stage?

    init(_ fields: JSONFields) {
        code = fields.required("code", String.self)
        step = fields.optional("step", String.self)
        column = fields.optional("column", String.self)
        stage = fields.optional("stage", oneOf: RowRoutes.Stage.self)
        for (name, text) in [("code", code), ("step", step), ("column", column)] {
            if text?.utf8.contains(0) == true { fields.fault(name, "holds U+0000") }
        }
    }

    var json: JSONValue {
        [
            "code": .string(code), "step": step.map(JSONValue.string) ?? .null,
            "column": column.map(JSONValue.string) ?? .null,
            "stage": stage.map { JSONValue.string($0.rawValue) } ?? .null,
        ]
    }
}

extension HealReport {
    fileprivate func json(_ runs: [Int64]) -> JSONValue {
        [
            "healed": .number(healed), "failing": .number(failing), "failed_batches": .number(dead),
            "runs": .array(runs.map { .string(String($0)) }),
        ]
    }
}
