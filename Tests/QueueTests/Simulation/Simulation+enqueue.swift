import Postgres

@testable import Queue

/// Enqueueing, with what jobs ask for besides.
extension Simulation {
    private static let refusal: SQLState = "22023"

    /// Two enqueuers side by side, while the marks move: the first may commit long before the second.
    func overlap() async throws {
        if random.chance(50) { try await skipPositions() }
        let first = transactions.count
        try await enqueue(staysOpen: true)
        // One that was refused, or met a lock, leaves nothing open.
        let isOpen = transactions.count > first
        try await enqueue(staysOpen: true)
        try await advance()
        if isOpen, random.chance(70) { try await finish(transactions.remove(at: first), .commit) }
        if random.chance(70) { try await advance() }
    }

    func enqueue(staysOpen: Bool = false) async throws {
        var requests: [JobRequest] = []
        for index in 0..<random.number(1...4) { requests.append(request(index)) }
        let plan = SimulationModel.EnqueuePlan(requests, model)
        let connection = try await lane.take()
        try await connection.execute(script: "BEGIN")
        let answers: [EnqueuedJob]
        do {
            answers = try await connection.query(try Enqueue.statement(requests))
        } catch let error as PostgresError where error.code == .server {
            try await connection.execute(script: "ROLLBACK")
            lane.give(connection)
            if error.sqlstate == Self.lockTimeout { return note("locked") }
            guard error.sqlstate == Self.refusal else { throw error }
            note("refused: \(error.message)")
            if !plan.isRefused { model.refute("an enqueue was refused: \(error.message)") }
            return
        }
        note("enqueue \(plan.description(answers))")
        if let fault = plan.fault(in: answers) { model.refute(fault) }
        let open = OpenTransaction(connection: connection, work: .enqueue) { plan.apply(answers, to: &$0) }
        if !staysOpen, random.chance(60) { try await finish(open, .commit) } else { transactions.append(open) }
    }

    private func request(_ index: Int) -> JobRequest {
        let delay: Duration? = random.chance(mood.delays) ? .milliseconds(random.number(1...20_000)) : nil
        var request = JobRequest(
            queue: "transform", kind: "sim", arguments: Array("{}".utf8), workspace: Int64(random.number(1...2)),
            priority: random.pick([0, 0, 0, 2, -2]) ?? 0, delay: delay, maxAttempts: Int16(random.number(mood.attempts))
        )
        if random.chance(mood.arrays) {
            request.items = Int32(random.number(mood.items))
            if random.chance(50) { request.slice = Int32(random.number(1...5)) }
        } else if random.chance(mood.limits) {
            request.limitKey = random.pick(mood.limitKeys)
        }
        request.isJoinable = random.chance(30)
        if random.chance(mood.uniques) {
            request.unique = .init(
                random.pick(["a", "b", "c"]) ?? "a", until: random.chance(30) ? .started : .finished)
            // Whoever has the key, others of the call may wait for it.
            request.isJoinable = true
        }
        guard random.chance(mood.children) else { return request }
        let known = model.bodies.filter(\.value.isJoinable).keys.sorted()
        for _ in 0..<random.number(1...3) {
            if index > 0, random.chance(50) {
                request.after.append(.request(random.number(0...(index - 1))))
            } else if let parent = random.pick(known) {
                request.after.append(.job(parent))
            }
        }
        request.runsAnyway = random.chance(40)
        return request
    }
}

extension SimulationModel {
    /// What is to become of requests that are enqueued in one call.
    struct EnqueuePlan: Sendable {
        /// Who has the key of a request: a job that is there, or another request.
        private enum Holder: Sendable { case job(Int64), request(Int) }

        private let requests: [JobRequest]
        private var holders: [Holder] = []
        /// Of each request the parents that it waits for.
        private var parents: [[Holder]] = []
        /// A parent cannot be waited for.
        private(set) var isRefused = false

        init(_ requests: [JobRequest], _ model: SimulationModel) {
            self.requests = requests
            var taken: [String: Int] = [:]
            for (index, request) in requests.enumerated() {
                guard let key = request.unique?.key else {
                    holders.append(.request(index))
                    continue
                }
                if let id = model.uniqueKeys[key] {
                    holders.append(.job(id))
                } else {
                    holders.append(.request(taken[key] ?? index))
                    taken[key] = taken[key] ?? index
                }
            }
            for (index, request) in requests.enumerated() {
                parents.append([])
                guard case .request(index) = holders[index] else { continue }
                for parent in request.after { wait(index, holder(of: parent), model) }
            }
        }

        private func holder(of parent: JobRequest.Parent) -> Holder {
            switch parent {
            case .job(let id): .job(id)
            case .request(let index): holders[index]
            }
        }

        private mutating func wait(_ index: Int, _ parent: Holder, _ model: SimulationModel) {
            guard case .job(let id) = parent else { return parents[index].append(parent) }
            switch model.mustWait(for: id, anyway: requests[index].runsAnyway) {
            case true?: parents[index].append(parent)
            case false?: break
            case nil: isRefused = true
            }
        }

        /// What is wrong with the answer.
        func fault(in answers: [EnqueuedJob]) -> String? {
            if isRefused { return "an enqueue was not refused: \(answers)" }
            for (index, answer) in answers.enumerated() {
                let isRight =
                    switch holders[index] {
                    case .job(let id): answer == EnqueuedJob(id: id, isNew: false)
                    case .request(index): answer.isNew
                    case .request(let other): answer == EnqueuedJob(id: answers[other].id, isNew: false)
                    }
                if !isRight { return "request \(index) has become \(answer), and not \(holders[index])" }
            }
            return nil
        }

        func apply(_ answers: [EnqueuedJob], to model: inout SimulationModel) {
            let joined = Set(requests.flatMap(\.after))
            for (index, answer) in answers.enumerated() where answer.isNew {
                let body = Body(
                    requests[index], isJoinable: requests[index].isJoinable || joined.contains(.request(index)))
                model.enqueued(
                    answer.id, body,
                    after: Set(
                        parents[index].map { parent in
                            switch parent {
                            case .job(let id): id
                            case .request(let other): answers[other].id
                            }
                        }))
            }
        }

        func description(_ answers: [EnqueuedJob]) -> String {
            zip(answers, requests).map(Self.describe).joined(separator: ", ")
        }

        private static func describe(_ answer: EnqueuedJob, _ request: JobRequest) -> String {
            if !answer.isNew { return "(\(answer.id))" }
            var words = ["\(answer.id)"]
            if let items = request.items { words.append("of \(items)") }
            if let key = request.limitKey { words.append("at \(key)") }
            if let unique = request.unique { words.append("as \(unique.key)") }
            if !request.after.isEmpty { words.append("after \(request.after)") }
            if request.runsAnyway { words.append("anyway") }
            return words.joined(separator: " ")
        }
    }
}
