import Postgres

@testable import Queue

extension SimulationModel {
    /// The state as lines; those of the database are made by ``SimulationTruth``.
    var lines: Set<String> {
        var lines: Set<String> = []
        for (id, job) in jobs {
            let attempts = "\(job.attempt) \(job.last)"
            switch job.place {
            case .ready(let solo): lines.insert("\(id) ready \(solo) \(attempts) \(job.priority)")
            case .deferred(let solo): lines.insert("\(id) deferred \(solo) \(attempts) \(job.priority)")
            case .leased(let lease): lines.insert("\(id) leased \(lease) \(attempts)")
            case .dead: lines.insert("\(id) dead \(job.attempt)")
            case .succeeded, .cancelled: break
            }
            for (attempt, outcome) in job.outcomes { lines.insert("\(id) outcome \(attempt) \(outcome)") }
        }
        for (id, count) in effects { lines.insert("\(id) effects \(count)") }
        for (id, items) in arrays {
            let slices = jobs.filter { $0.key / Self.width == id }.values
            let failed = slices.reduce(0) { $0 + ($1.place == .dead ? $1.items : 0) }
            let succeeded = slices.reduce(0) { $0 + ($1.place == .succeeded ? $1.items : 0) }
            lines.insert("array \(id) remaining \(items - succeeded - failed) failed \(failed)")
        }
        for (id, lease) in leases { lines.insert("lease \(id) of \(lease.worker)") }
        return lines
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

    /// At the end nothing is under way any more.
    mutating func checkDrained() {
        for (id, job) in jobs {
            let counts = Set((0..<Int64(max(1, job.items))).map { effects[id + $0] ?? 0 })
            switch job.place {
            case .succeeded where counts == [1] && job.outcomes[job.attempt] == "succeeded": continue
            case .cancelled where counts == [0]: continue
            case .dead where counts == [0] && job.outcomes[job.attempt] == "dead": continue
            default: refute("at the end job \(id) is \(describe(id))")
            }
        }
        if !leases.isEmpty { refute("at the end there are leases: \(leases.keys.sorted())") }
    }
}

/// Everything that the database says of the jobs from an id on, a line each; and what must never be: a job in `ready`
/// at or below its low-water mark.
struct SimulationTruth: PostgresStatement {
    let from: Int64

    static let sql = """
        SELECT format('%s ready %s %s %s %s', r.job * 1000 + r.first,
            CASE WHEN r.lane % 2 = 1 THEN 'true' ELSE 'false' END, r.attempt, r.last, r.priority)
        FROM queue.ready r WHERE r.job >= $1
        UNION ALL SELECT format('%s in lane %s is hidden below the mark', r.job, r.lane)
        FROM queue.ready r JOIN queue.low_water w USING (lane, priority)
        WHERE r.job >= $1 AND r.position <= w.position
        UNION ALL SELECT format('%s deferred %s %s %s %s', d.job * 1000 + d.first,
            CASE WHEN d.lane % 2 = 1 THEN 'true' ELSE 'false' END, d.attempt, d.last, d.priority)
        FROM queue.deferred d WHERE d.job >= $1
        UNION ALL SELECT format('%s leased %s %s %s', t.job * 1000 + coalesce(t.first, 0), l.id, t.attempt, t.last)
        FROM queue.lease l, unnest(l.jobs, l.attempts, l.lasts, l.firsts) AS t(job, attempt, last, first)
        WHERE NOT EXISTS (SELECT FROM queue.outcome o 
            WHERE o.job = t.job AND o.attempt = t.attempt AND o.first = coalesce(t.first, 0))
        UNION ALL SELECT format('lease %s of %s', l.id, l.worker) FROM queue.lease l
        UNION ALL SELECT format('%s dead %s', d.job * 1000 + d.first, d.attempt) FROM queue.dead d WHERE d.job >= $1
        UNION ALL SELECT format('%s outcome %s %s', o.job * 1000 + o.first, o.attempt, o.state)
        FROM queue.outcome o WHERE o.job >= $1
        UNION ALL SELECT format('array %s remaining %s failed %s', a.job, a.remaining, a.failed)
        FROM queue.array a WHERE a.job >= $1
        UNION ALL SELECT format('%s effects %s', e.job, count(*)) FROM effect e WHERE e.job >= $1 * 1000 GROUP BY e.job
        """
    var parameters: [PostgresValue] { [.int8(from)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> String { try row.text(0) }
}
