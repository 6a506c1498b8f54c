import Postgres

@testable import Queue

extension SimulationModel {
    /// The state as lines; those of the database are made by ``SimulationTruth``.
    var lines: Set<String> {
        var lines: Set<String> = []
        for (id, job) in jobs {
            for line in self.lines(of: id, job) { lines.insert(line) }
            for (attempt, outcome) in job.outcomes { lines.insert("\(id) outcome \(attempt) \(outcome)") }
        }
        for (id, count) in effects { lines.insert("\(id) effects \(count)") }
        for (id, result) in results { lines.insert("\(id) result \(result)") }
        for (id, body) in bodies where body.items > 0 {
            let counts = counts(ofArray: id)
            let isCancelled = cancelledArrays[id] != nil
            lines.insert("array \(id) remaining \(counts.remaining) failed \(counts.failed) \(isCancelled)")
        }
        for (id, lease) in leases { lines.insert("lease \(id) of \(lease.worker)") }
        for (key, id) in uniqueKeys { lines.insert("unique \(key) of \(id)") }
        for id in joinable { lines.insert("joinable \(id)") }
        for one in dependencies {
            lines.insert("\(one.child) after \(one.parent) \(bodies[one.child]?.runsAnyway == true)")
        }
        for (id, key) in permits { lines.insert("permit \(id) of \(key)") }
        for (key, permits) in Dictionary(grouping: permits.values, by: { $0 }) {
            lines.insert("key \(key) held \(permits.count)")
        }
        return lines
    }

    /// Where it stands. What is ready of a cancelled array falls away with some claim: nobody says with which.
    private func lines(of id: Int64, _ job: Job) -> [String] {
        let attempts = "\(job.attempt) \(job.last)"
        switch job.place {
        case .ready where isInCancelledArray(id): return []
        case .ready(let lane): return ["\(id) ready \(lane) \(attempts) \(lane == .gate ? 0 : job.priority)"]
        case .deferred(let lane): return ["\(id) deferred \(lane) \(attempts) \(lane == .gate ? 0 : job.priority)"]
        case .waiting: return ["\(id) waiting \(dependencies.count { $0.child == id / Self.width })"]
        case .blocked: return ["\(id) blocked \(attempts)"]
        case .leased(let lease): return ["\(id) leased \(lease) \(attempts)"]
        case .dead: return ["\(id) dead \(job.attempt)"]
        case .succeeded, .cancelled: return []
        }
    }

    /// Compares with what the database holds.
    mutating func check(_ truth: [String]) {
        let (found, expected) = (Set(truth), lines)
        if found.count != truth.count { return refute("a row is there twice: \(truth.sorted())") }
        if found != expected {
            refute(
                "only in the database: \(found.subtracting(expected).sorted()); "
                    + "only in the model: \(expected.subtracting(found).sorted())")
        }
    }

    /// Nothing more will become of it: a job may wait for ever for a dead one.
    func isOver(_ id: Int64, _ job: Job) -> Bool {
        switch job.place {
        case .succeeded, .cancelled, .dead, .waiting: true
        case .ready, .deferred: isInCancelledArray(id)
        case .blocked, .leased: false
        }
    }

    /// At the end nothing is under way any more.
    mutating func checkDrained() {
        for (id, job) in jobs {
            let counts = Set((0..<Int64(max(1, job.items))).map { effects[id + $0] ?? 0 })
            switch job.place {
            case .succeeded where counts == [1] && job.outcomes[job.attempt] == "succeeded": continue
            case .cancelled where counts == [0]: continue
            case .dead where counts == [0] && job.outcomes[job.attempt] == "dead": continue
            case .waiting where counts == [0] && waitsForDead(id / Self.width): continue
            case .ready where counts == [0] && isInCancelledArray(id): continue
            case .deferred where counts == [0] && isInCancelledArray(id): continue
            default: refute("at the end job \(id) is \(describe(id))")
            }
        }
        if !leases.isEmpty { refute("at the end there are leases: \(leases.keys.sorted())") }
        if !permits.isEmpty { refute("at the end there are permits: \(permits)") }
        for (key, id) in uniqueKeys where jobs[id * Self.width]?.place != .waiting {
            refute("at the end the key \(key) is held by job \(id): \(describe(id * Self.width))")
        }
    }

    private func waitsForDead(_ id: Int64) -> Bool {
        dependencies.contains { one in
            one.child == id && bodies[id]?.runsAnyway == false && (isDead(one.parent) || waitsForDead(one.parent))
                || one.child == id && bodies[id]?.runsAnyway == true && waitsForDead(one.parent)
        }
    }
}

/// Everything that the database says of the jobs from an id on, a line each; and what must never be: a job at or below
/// its low-water mark, or its key's, or in the flow of another workspace.
struct SimulationTruth: PostgresStatement {
    let from: Int64

    static let sql = """
        SELECT format('%s ready %s %s %s %s', r.job * 1000 + r.first, lane_name(r.lane), r.attempt, r.last, r.priority)
        FROM queue.ready r WHERE r.job >= $1
            AND NOT EXISTS (SELECT FROM queue.array a WHERE a.job = r.job AND a.cancelled)
        UNION ALL SELECT format('%s in lane %s is hidden below the mark', r.job, r.lane)
        FROM queue.ready r JOIN queue.low_water w USING (lane, priority)
        WHERE r.job >= $1 AND r.position <= w.position
        UNION ALL SELECT format('%s in lane %s is in another flow', r.job, r.lane)
        FROM queue.ready r JOIN queue.job j ON j.id = r.job
        WHERE r.job >= $1 AND r.lane >= 0 AND r.flow <> queue.flow_of(r.lane, r.priority, j.workspace)
        UNION ALL SELECT format('%s deferred %s %s %s %s', d.job * 1000 + d.first, lane_name(d.lane), d.attempt, d.last,
            d.priority)
        FROM queue.deferred d WHERE d.job >= $1
        UNION ALL SELECT format('%s waiting %s', w.job * 1000, w.remaining) FROM queue.waiting w WHERE w.job >= $1
        UNION ALL SELECT format('%s after %s %s', d.child, d.parent, bool_name(d.anyway))
        FROM queue.dependency d WHERE d.child >= $1
        UNION ALL SELECT format('joinable %s', j.job) FROM queue.joinable j WHERE j.job >= $1
        UNION ALL SELECT format('unique %s of %s', u.key, u.job) FROM queue.unique_key u WHERE u.job >= $1
        UNION ALL SELECT format('%s blocked %s %s', b.job * 1000, b.attempt, b.last)
        FROM queue.blocked b WHERE b.job >= $1
        UNION ALL SELECT format('%s is blocked by no key, or hidden below its mark', b.job)
        FROM queue.blocked b LEFT JOIN queue.limit_key k ON k.id = b.limit_id
        WHERE b.job >= $1 AND b.position > k.mark IS NOT TRUE
        UNION ALL SELECT format('permit %s of %s', p.job, k.key)
        FROM queue.permit p LEFT JOIN queue.limit_key k ON k.id = p.limit_id
        UNION ALL SELECT format('key %s held %s', k.key, k.held) FROM queue.limit_key k WHERE k.held > 0
        UNION ALL SELECT format('%s leased %s %s %s', t.job * 1000 + coalesce(t.first, 0), l.id, t.attempt, t.last)
        FROM queue.lease l, unnest(l.jobs, l.attempts, l.lasts, l.firsts) AS t(job, attempt, last, first)
        WHERE NOT EXISTS (SELECT FROM queue.outcome o
            WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0))
        UNION ALL SELECT format('lease %s of %s', l.id, l.worker) FROM queue.lease l
        UNION ALL SELECT format('%s dead %s', d.job * 1000 + d.first, d.attempt) FROM queue.dead d WHERE d.job >= $1
        UNION ALL SELECT format('%s outcome %s %s', o.job * 1000 + o.first, o.attempt, o.state)
        FROM queue.outcome o WHERE o.job >= $1
        UNION ALL SELECT format('%s result %s', r.job * 1000 + r.first, r.result)
        FROM queue.result r WHERE r.job >= $1
        UNION ALL SELECT format('array %s remaining %s failed %s %s', a.job, a.remaining, a.failed,
            bool_name(a.cancelled))
        FROM queue.array a WHERE a.job >= $1
        UNION ALL SELECT format('%s effects %s', e.job, count(*)) FROM effect e WHERE e.job >= $1 * 1000 GROUP BY e.job
        """
    var parameters: [PostgresValue] { [.int8(from)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}
