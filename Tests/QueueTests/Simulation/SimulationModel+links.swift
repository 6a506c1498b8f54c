@testable import Queue

/// What jobs have to do with each other: unique keys, limits, and who waits for whom.
extension SimulationModel {
    enum End: Sendable { case succeeded, dead, cancelled }

    private func slice(_ job: Int64) -> Int64 { job * Self.width }

    // MARK: Enqueueing

    /// A job that is there once its transaction has committed, with the parents that it has to wait for.
    mutating func enqueued(_ id: Int64, _ body: Body, after parents: Set<Int64>) {
        if bodies[id] != nil { refute("job \(id) was enqueued twice") }
        bodies[id] = body
        jobs[slice(id)] = Job(
            place: .waiting, last: body.allowance, priority: body.priority, allowance: body.allowance,
            items: body.items)
        if body.isJoinable { joinable.insert(id) }
        if let key = body.unique?.key {
            if let holder = uniqueKeys[key] { refute("job \(id) was enqueued beside \(holder), with its key \(key)") }
            uniqueKeys[key] = id
        }
        for parent in parents {
            if !joinable.contains(parent) { refute("job \(id) waits for \(parent), which has ended") }
            dependencies.insert(Dependency(parent: parent, child: id))
        }
        if parents.isEmpty { place(id) }
    }

    private mutating func place(_ id: Int64) {
        guard let body = bodies[id] else { return refute("unknown job \(id) goes on") }
        jobs[slice(id)]?.place = body.isDelayed ? .deferred(body.lane) : .ready(body.lane)
    }

    /// Whether a child of a parent has to wait; nil where it is refused.
    func mustWait(for parent: Int64, anyway: Bool) -> Bool? {
        if joinable.contains(parent) { return !(anyway && isDead(parent)) }
        guard bodies[parent]?.isJoinable == true else { return nil }
        return isCancelled(parent) && !anyway ? nil : false
    }

    func isDead(_ id: Int64) -> Bool {
        guard bodies[id]?.items ?? 0 > 0 else { return jobs[slice(id)]?.place == .dead }
        let counts = counts(ofArray: id)
        return counts.remaining == 0 && counts.failed > 0 && cancelledArrays[id] == nil
    }

    func isCancelled(_ id: Int64) -> Bool {
        cancelledArrays[id] != nil || (bodies[id]?.items == 0 && jobs[slice(id)]?.place == .cancelled)
    }

    /// Its first attempt starts.
    mutating func started(_ ids: [Int64]) {
        for id in ids where bodies[id]?.unique?.until == .started { freeKey(of: id) }
    }

    private mutating func freeKey(of id: Int64) {
        guard let key = bodies[id]?.unique?.key, uniqueKeys[key] == id else { return }
        uniqueKeys[key] = nil
    }

    // MARK: Limits

    /// Jobs have been taken from the gate, in this order. Gives how many were let through.
    mutating func admitted(_ ids: [Int64]) -> Int32 {
        for id in ids {
            guard let key = bodies[id]?.limitKey, jobs[slice(id)]?.place == .ready(.gate) else {
                refute("job \(id) was taken from the gate: \(describe(slice(id)))")
                continue
            }
            jobs[slice(id)]?.place = .blocked
            blocked[key, default: []].append(id)
        }
        return Set(ids.compactMap { bodies[$0]?.limitKey }).reduce(0) { $0 + open($1) }
    }

    @discardableResult
    mutating func open(_ key: String) -> Int32 {
        var moved: Int32 = 0
        while let next = blocked[key]?.first, permits.values.count(where: { $0 == key }) < concurrency ?? .max {
            blocked[key]?.removeFirst()
            permits[next] = key
            jobs[slice(next)]?.place = .ready(.ordinary)
            moved += 1
        }
        return moved
    }

    mutating func release(_ id: Int64) {
        guard let key = permits.removeValue(forKey: id) else { return }
        open(key)
    }

    // MARK: Ends

    /// Attempts of jobs and slices have ended for good: what is over as a whole is concluded.
    mutating func ended(_ slices: [Int64], _ end: End) {
        var ends: [End: Set<Int64>] = [:]
        for id in Set(slices.map { $0 / Self.width }) {
            if bodies[id]?.items == 0 {
                ends[end, default: []].insert(id)
            } else if counts(ofArray: id).remaining == 0 {
                ends[counts(ofArray: id).failed > 0 ? .dead : .succeeded, default: []].insert(id)
            }
        }
        for end in [End.succeeded, .dead] { if let ids = ends[end] { conclude(ids.sorted(), end) } }
    }

    private mutating func conclude(_ ids: [Int64], _ end: End) {
        for id in ids {
            freeKey(of: id)
            release(id)
        }
        let parents = joinable.intersection(ids)
        if end != .dead { joinable.subtract(parents) }
        if end == .cancelled {
            let orphans = dependencies.filter { parents.contains($0.parent) && bodies[$0.child]?.runsAnyway == false }
            for child in Set(orphans.map(\.child)).sorted() { cancelled(child, removed: [slice(child)]) }
        }
        let done = dependencies.filter {
            parents.contains($0.parent) && (end == .succeeded || bodies[$0.child]?.runsAnyway == true)
        }
        dependencies.subtract(done)
        for child in Set(done.map(\.child)) where !dependencies.contains(where: { $0.child == child }) { place(child) }
    }

    // MARK: Cancelling

    /// What a job's cancellation answers, what it takes out of where it stands, and the lease that it locks.
    func cancellation(of id: Int64) -> (answer: CancelResult, removed: Set<Int64>, lease: Int64?) {
        if bodies[id]?.items ?? 0 > 0 { return arrayCancellation(of: id) }
        switch jobs[slice(id)]?.place {
        case .succeeded, .cancelled: return (.finished, [], nil)
        case .leased(let lease): return (.stopped, [], lease)
        case nil: return (.unknown, [], nil)
        default: return (.cancelled, [slice(id)], nil)
        }
    }

    private func arrayCancellation(of id: Int64) -> (answer: CancelResult, removed: Set<Int64>, lease: Int64?) {
        let slices = jobs.filter { $0.key / Self.width == id }
        let counts = counts(ofArray: id)
        if counts.remaining == 0, counts.failed == 0 { return (.finished, [], nil) }
        let standing = slices.filter { slice in
            switch slice.value.place {
            case .ready, .deferred, .waiting, .dead: true
            default: false
            }
        }
        let removed = Set(standing.keys)
        if cancelledArrays[id] != nil { return (.finished, removed, nil) }
        let isRunning = leases.values.contains { $0.jobs.contains { $0 / Self.width == id } }
        return (isRunning ? .stopped : .cancelled, removed, nil)
    }

    /// A job is cancelled, or an array without what runs of it; `removed` was taken out of where it stood.
    mutating func cancelled(_ id: Int64, removed: Set<Int64>) {
        if bodies[id]?.items ?? 0 > 0 {
            cancelledArrays[id] = counts(ofArray: id)
            for slice in removed { jobs[slice]?.place = .cancelled }
        } else {
            guard let job = jobs[slice(id)] else { return refute("unknown job \(id) was cancelled") }
            jobs[slice(id)]?.outcomes[job.attempt + (job.place == .dead ? 1 : 0)] = "cancelled"
            jobs[slice(id)]?.place = .cancelled
            if let key = bodies[id]?.limitKey { blocked[key]?.removeAll { $0 == id } }
        }
        dependencies = dependencies.filter { $0.child != id }
        conclude([id], .cancelled)
    }

    /// What has come back of an array that had been cancelled falls away.
    mutating func swept(_ slices: Set<Int64>) {
        for slice in slices { jobs[slice]?.place = .cancelled }
    }

    func isInCancelledArray(_ slice: Int64) -> Bool { cancelledArrays[slice / Self.width] != nil }

    func counts(ofArray id: Int64) -> Remainder {
        if let counts = cancelledArrays[id] { return counts }
        let slices = jobs.filter { $0.key / Self.width == id }.values
        let failed = slices.reduce(0) { $0 + ($1.place == .dead ? $1.items : 0) }
        let succeeded = slices.reduce(0) { $0 + ($1.place == .succeeded ? $1.items : 0) }
        return Remainder(remaining: (bodies[id]?.items ?? 0) - succeeded - failed, failed: failed)
    }

    // MARK: Redriving

    /// What a call redrives of the dead letters, but for those that somebody has locked: slices, and the jobs that stay
    /// dead with those that have their keys.
    func redrive(limit: Int, locked: Set<Int64>) -> (slices: [Int64], held: [Int64: Int64]) {
        var held: [Int64: Int64] = [:]
        var wanted: [Int64] = []
        for slice in jobs.filter({ $0.value.place == .dead }).keys.sorted() where wanted.count < limit {
            let id = slice / Self.width
            if let key = retakenKey(of: id), let holder = uniqueKeys[key], holder != id {
                held[id] = holder
            } else {
                wanted.append(slice)
            }
        }
        var taken: [String: Int64] = [:]
        for id in Set(wanted.map { $0 / Self.width }).sorted() {
            guard let key = retakenKey(of: id), uniqueKeys[key] == nil else { continue }
            if let holder = taken[key] { held[id] = holder } else { taken[key] = id }
        }
        return (wanted.filter { held[$0 / Self.width] == nil && !locked.contains($0) }, held)
    }

    private func retakenKey(of id: Int64) -> String? {
        guard let unique = bodies[id]?.unique, unique.until == .finished else { return nil }
        return unique.key
    }

    mutating func redriven(_ id: Int64) {
        guard let job = jobs[id], job.place == .dead, let body = bodies[id / Self.width] else {
            return refute("job \(id) was redriven: \(describe(id))")
        }
        if let key = retakenKey(of: id / Self.width) { uniqueKeys[key] = id / Self.width }
        jobs[id]?.place = .ready(body.lane)
        jobs[id]?.last = job.attempt + job.allowance
        jobs[id]?.attempt += 1
    }
}
