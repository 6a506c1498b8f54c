import Access
import Catalog
import HTTP
import HTTPServer
import JSON
import Postgres
import Queue

/// `POST /v1/pipelines/{name}/replay`.
struct ReplayRoute: Sendable {
    let pool: PostgresPool
    let starter: RunStarter
    let wakeup: Wakeup

    /// Batches that one request names.
    static let batchLimit = 1_000
    static let timeouts = Duration.seconds(1)...Duration.seconds(30 * 86_400)

    func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("name"))
        let query = try request.query()
        let isDry = query.bool("dry_run") ?? false
        try query.finish()
        let replay = try Self.decode(try await request.json(), isDry: isDry)
        let find = FindPipeline(workspaceID: principal.workspaceID, name: name.text)
        let trace = request.context.trace
        let run = try await pool.withTransaction { connection in
            try await connection.follow(trace)
            guard let pipeline = try await connection.query(find).first else {
                throw Problem(.notFound, "there is no pipeline \(name)")
            }
            do {
                return try await starter.replay(replay, of: pipeline.id, connection)
            } catch let refusal as RunRefusal {
                throw Self.problem(refusal, replay)
            }
        }
        wakeup.notify("transform")
        return .json(.accepted, ["run": .string(String(run))])
    }

    static func decode(_ body: JSONValue, isDry: Bool = false) throws -> ReplayRequest {
        let fields = JSONFields(body)
        let timeout = fields.optional("timeout", Duration.self)
        if let timeout, !timeouts.contains(timeout) { fields.fault("timeout", "must be 1s to 30d") }
        let parallel = fields.optional("max_parallel", Int.self)
        if let parallel, !RunStarter.parallels.contains(parallel) { fields.fault("max_parallel", "must be 1 to 64") }
        var ids: [String]?
        var span: Range<Int64> = 0..<0
        if fields.has("batches") {
            ids = fields.required("batches", [String].self)
            if !(1...batchLimit).contains(ids?.count ?? 0) {
                fields.fault("batches", "expected 1 to \(batchLimit) batches")
            }
            for name in ["from", "to"] where fields.optional(name, JSONValue.self) != nil {
                fields.fault(name, "goes without batches")
            }
        } else {
            _ = fields.optional("batches", JSONValue.self)
            let (from, to) = (fields.time("from"), fields.time("to"))
            if let from, let to {
                if from < to { span = from..<to } else { fields.fault("to", "must be after from") }
            }
        }
        try fields.finish()
        return ReplayRequest(
            batches: try ids.map { .named(try batches($0)) } ?? .received(span), json: body, timeout: timeout,
            parallel: parallel.map(Int32.init) ?? RunStarter.defaultParallel, isDry: isDry)
    }

    private static func batches(_ ids: [String]) throws -> [Int64] {
        let numbers = ids.map { id in Int64(id).flatMap { $0 > 0 && String($0) == id ? $0 : nil } }
        let faults = zip(numbers.indices, numbers).compactMap { place, number in
            number == nil ? FieldFault(path: "batches[\(place)]", message: "expected a batch's id") : nil
        }
        guard faults.isEmpty else { throw FieldFaults(faults) }
        return numbers.compactMap(\.self)
    }

    /// As an answer; batches that the request names are found in it by their places.
    private static func problem(_ refusal: RunRefusal, _ request: ReplayRequest) -> Problem {
        func faults(_ ids: [Int64], _ message: String) -> [FieldFault] {
            ids.map { id in
                guard case .named(let named) = request.batches, let place = named.firstIndex(of: id) else {
                    return FieldFault(path: "from", message: "batch \(id): \(message)")
                }
                return FieldFault(path: "batches[\(place)]", message: message)
            }
        }
        switch refusal {
        case .noPipeline: return Problem(.notFound, refusal.description)
        case .mode, .sharedRows, .notRebuilt, .readsDataset: return Problem(.conflict, refusal.description)
        case .unknownBatches(let ids):
            return Problem(
                .invalidRequest, refusal.description, errors: faults(ids, "there is no such batch of the source"))
        case .rawExpired(let ids, let count):
            return Problem(
                .rawExpired, refusal.description, errors: faults(ids, "its raw bytes have expired"),
                extensions: [
                    ("batches", .array(ids.map { .string(String($0)) })), ("expired_batches", .number(count)),
                ])
        case .overlap(let run):
            return Problem(.conflict, refusal.description, extensions: [("run", .string(String(run)))])
        case .tooMany:
            return Problem(
                .invalidRequest, refusal.description, errors: [FieldFault(path: "from", message: refusal.description)])
        }
    }
}
