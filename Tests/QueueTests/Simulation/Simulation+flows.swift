import Postgres

@testable import Queue

/// Claims of equal shares of workspaces.
extension Simulation {
    func claimByFlows(_ worker: SimulatedWorker) async throws {
        let low = worker.marks.ordinary.low
        let look = FlowsStatement(queue: worker.queue, low: low, after: 0, limit: FairShare.maximumFlows)
        guard let row = try await lane.control.query(look).first else { return }
        note("workspaces \(row.workspaces) have jobs of priority \(row.priority)")
        checkFlows(row)
        if row.flows.isEmpty { return }
        let bound = low[Int(2 - row.priority)]
        let flows = zip(row.flows, row.workspaces).map { flow, workspace in
            Marks.Flow(flow: flow, workspace: workspace, low: bound, fast: bound)
        }
        note("\(worker.id) claims of \(row.workspaces)")
        let statement = self.statement(worker, solo: false, limit: random.number(1...6), flows: flows)
        _ = try await claimed(worker, statement, losesAnswer: random.chance(10)) { connection in
            try await connection.query(statement)
        }
    }

    /// Those that have something at the highest priority at which anybody has.
    private func checkFlows(_ row: FlowsStatement.Row) {
        guard model.cancelledArrays.isEmpty else { return }
        let ready = model.jobs.filter { $0.value.place == .ready(.ordinary) }
        let highest = ready.values.map(\.priority).max()
        let workspaces = Set(
            ready.filter { $0.value.priority == highest }.compactMap { model.workspace(of: $0.key) }
        ).sorted()
        if workspaces != row.workspaces || (highest.map { $0 != row.priority } ?? false) {
            model.refute("workspaces \(workspaces) have jobs of priority \(highest ?? 0), but \(row) was found")
        }
    }

    /// Before the claim is applied to the model.
    func checkShares(_ statement: ClaimStatement, _ jobs: [Job]) {
        // Of a cancelled array something may have been taken that has fallen away.
        guard !statement.flows.isEmpty, !model.isPaused, model.cancelledArrays.isEmpty else { return }
        let locked = lockedSlices
        let share = (statement.limit + statement.flows.count - 1) / statement.flows.count
        var wanted = statement.limit
        for flow in statement.flows {
            let priority = Int16(truncatingIfNeeded: (flow.flow >> 44) & 7) - 2
            let standing = model.jobs.filter { id, job in
                job.place == .ready(.ordinary) && job.priority == priority && !locked.contains(id)
                    && model.workspace(of: id) == flow.workspace
            }
            let expected = min(share, wanted, standing.count)
            let found = jobs.count { $0.workspace == flow.workspace && $0.priority == priority }
            if found != expected {
                model.refute("\(found) jobs of workspace \(flow.workspace) were claimed, not \(expected)")
            }
            wanted -= expected
        }
        if jobs.count != statement.limit - wanted { model.refute("\(jobs.count) jobs were claimed by flows") }
    }
}

extension SimulationModel {
    func workspace(of slice: Int64) -> Int64? { bodies[slice / Self.width]?.workspace }
}
