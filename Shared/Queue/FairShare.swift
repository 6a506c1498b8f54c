/// Which workspaces' jobs a backlogged worker takes in turns.
///
/// Jobs are claimed in the order in which they came while a claim takes all there are. Where more stand behind, one
/// workspace's many would keep another's few waiting: then the worker looks, every `interval` or a twentieth of the
/// time, which workspaces have jobs at the highest priority, and if several do it takes an equal share of each, until a
/// claim is not full any more.
struct FairShare: Sendable {
    static let interval: Duration = .milliseconds(100)
    /// Workspaces that one look finds; the next look goes on after them.
    static let maximumFlows = 256

    /// In the order in which they are asked. Empty while jobs are taken as they came.
    private(set) var flows: [Marks.Flow] = []
    private(set) var lookedAt: ContinuousClock.Instant?
    private var pause = FairShare.interval
    private var lastWorkspace: Int64 = -1

    /// After which workspace to look; all are looked at in the end.
    var after: Int64 { lastWorkspace }

    func mustLook(at now: ContinuousClock.Instant) -> Bool {
        lookedAt.map { now - $0 >= pause } ?? true
    }

    /// `low` is the low-water mark of the priority that was found.
    mutating func found(
        _ row: FlowsStatement.Row, low: Int64, began: ContinuousClock.Instant, ended: ContinuousClock.Instant
    ) {
        lookedAt = ended
        pause = max(Self.interval, (ended - began) * 20)
        lastWorkspace = row.workspaces.count == Self.maximumFlows ? row.workspaces.last ?? -1 : -1
        guard row.flows.count > 1 else {
            flows = []
            return
        }
        let known = Dictionary(flows.map { ($0.flow, $0.fast) }) { first, _ in first }
        flows = zip(row.flows, row.workspaces).map { flow, workspace in
            Marks.Flow(flow: flow, workspace: workspace, low: low, fast: max(low, known[flow] ?? low))
        }
    }

    /// The flows for the next claim; from their low marks on when what committed late is to be found.
    func flows(sweeping: Bool) -> [Marks.Flow] {
        guard sweeping else { return flows }
        return flows.map { Marks.Flow(flow: $0.flow, workspace: $0.workspace, low: $0.low, fast: $0.low) }
    }

    /// After a full claim the next one begins with the workspace after the last that got its share. After another those
    /// stay that had their whole share to take: the rest ran out of jobs. A flow whose whole share was found by a sweep
    /// goes on from there: more of it may have committed late.
    mutating func claimed(_ jobs: [Job], limit: Int, swept: Bool) {
        guard !flows.isEmpty else { return }
        var taken: [Int64: (count: Int, furthest: Int64)] = [:]
        for job in jobs {
            let (count, furthest) = taken[job.workspace] ?? (0, 0)
            taken[job.workspace] = (count + 1, max(furthest, job.position))
        }
        let share = (limit + flows.count - 1) / flows.count
        for index in flows.indices {
            guard let (count, furthest) = taken[flows[index].workspace] else { continue }
            flows[index].fast = swept && count >= share ? furthest : max(flows[index].fast, furthest)
        }
        guard jobs.count < limit else {
            let served = flows.lastIndex { taken[$0.workspace] != nil } ?? 0
            flows = Array(flows[(served + 1)...] + flows[...served])
            return
        }
        flows.removeAll { (taken[$0.workspace]?.count ?? 0) < share }
        if flows.count < 2 { flows = [] }
    }

    mutating func end() {
        flows = []
    }
}
