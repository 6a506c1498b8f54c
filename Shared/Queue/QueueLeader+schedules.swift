import Observability
import Postgres

/// The firing of schedules. Whoever leads, or still thinks it does, goes by the tick that it saw in the database, and
/// the database lets one of them have it: a tick fires once.
extension QueueLeader {
    /// Looks again at most so often for what became due meanwhile.
    private static let rounds = 10
    /// Of the pool's connections, so many fire at a time.
    private static let connections = 4
    private static let batch = 64

    /// Fires what is due and learns when the next is. At rest one statement.
    func fireSchedules(_ state: inout LeaderState) async throws {
        for _ in 0..<Self.rounds {
            let statement = DueSchedulesStatement(after: state.schedules.after(at: .now))
            let rows = try await ask(statement)
            guard let now = rows.first?.now else { return }
            state.schedules.looked(upTo: now, at: .now)
            let due = rows.filter(\.isDue)
            if due.isEmpty {
                state.due(in: rows[0].dueIn, at: .now)
                return
            }
            // Those that could not be fired, or that others have locked, are looked at again a little later.
            guard try await fire(due) else { break }
        }
        state.due(in: LeaderState.nudgePause, at: .now)
    }

    /// Fires many by several connections, so that their commits share the disk's writes, and tells the queues every
    /// `batch`: the first job does not wait for the last. Returns whether any has fired.
    private func fire(_ due: [DueSchedulesStatement.Row]) async throws -> Bool {
        var hasFired = false
        for start in stride(from: 0, to: due.count, by: Self.batch) {
            let rows = due[start..<min(start + Self.batch, due.count)]
            let made = try await withThrowingTaskGroup(of: [(String, Int32)].self) { group in
                for lane in 0..<min(Self.connections, rows.count) {
                    let part = stride(from: start + lane, to: rows.endIndex, by: Self.connections).map { rows[$0] }
                    group.addTask {
                        var made: [(String, Int32)] = []
                        for row in part {
                            if let jobs = try await self.fire(row) { made.append((row.queue, jobs)) }
                        }
                        return made
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            hasFired = hasFired || !made.isEmpty
            let queues = Set(made.filter { $0.1 > 0 }.map(\.0))
            guard !queues.isEmpty else { continue }
            let notify = NotifyStatement(queues: queues.sorted())
            try await tell(notify)
        }
        return hasFired
    }

    /// Nil when it did not fire: another one's tick, or a schedule that cannot be fired here. One that cannot does not
    /// keep the others from their times.
    private func fire(_ row: DueSchedulesStatement.Row) async throws -> Int32? {
        guard let cron = try? CronExpression(row.cron), let zone = CronZone(row.timezone),
            let missed = MissedTicks(rawValue: row.missed)
        else {
            logger.warning("a schedule's times are not known here", ["schedule.id": .int(Int(row.id))])
            return nil
        }
        let plan = TickPlan(cron, in: zone, missed: missed, seen: row.nextAt, now: row.now)
        let statement = FireScheduleStatement(
            id: row.id, version: row.version, seen: row.nextAt, plan: plan, passed: row.now)
        do {
            let made = try await ask(statement).first.flatMap { $0 }
            if let made { metrics.scheduled.add(Int(made)) }
            return made
        } catch let error as PostgresError where error.code == .server {
            logger.warning(
                "a schedule could not be fired", ["schedule.id": .int(Int(row.id)), "error": .describing(error)])
            return nil
        }
    }
}
