import JSON
import Observability
import Postgres
import Queue

/// Does the jobs of kind `rollup`, `{"rollup": id}`: one bounded step each, in the transaction that settles the job.
///
/// Steps of one rollup come one after the other, by its row's lock. What there is left to do, the step has made a job
/// for. A rollup that cannot be kept is marked as failed, with the reason, and its job is done.
struct RollupHandler: JobHandler {
    static let pause = Duration.milliseconds(200)
    /// Beyond it an index that is being made is given up.
    static let indexTime = Duration.seconds(3600)

    let pool: PostgresPool
    let wakeup: Wakeup
    let metrics: RollupMetrics
    let logger: Logger

    func handle(_ jobs: [Job], lease: Lease) async {
        for job in jobs {
            guard let rollup = Self.rollup(job) else {
                let failure = JobFailure(code: "invalid_arguments", message: "no rollup is named", isPermanent: true)
                await lease.fail(job, failure)
                continue
            }
            do {
                try await advance(rollup, job, lease)
                await makeIndex(rollup)
            } catch let error as QueueError where error.code == .leaseLost {
                return
            } catch {
                logger.warning("a rollup could not be brought up to date", ["error": .describing(error)])
                await lease.fail(job, JobFailure(error))
            }
        }
    }

    private func advance(_ rollup: Int64, _ job: Job, _ lease: Lease) async throws {
        let began = ContinuousClock.now
        do {
            let step = try await lease.transaction(settling: [job]) { connection in
                try await connection.query(AdvanceRollup(rollupID: rollup)).first
            }
            if let step {
                metrics.batches.add(Int(step.batches))
                metrics.rows.add(Int(step.rows))
                if step.state == "failed" { metrics.failed.add(1) }
            }
            metrics.seconds.observe(began.duration(to: .now))
        } catch let error as PostgresError
            where error.sqlstate == .lockNotAvailable || error.sqlstate?.classCode == "40"
        {
            // Somebody writes into the table, or is at the rollup: that is no failure, however long it lasts.
            try await lease.transaction(settling: [job]) { connection in
                try await connection.execute(DelayRollup(rollupID: rollup, delay: Self.pause))
            }
            metrics.delayed.add(1)
        }
        wakeup.notify("analytics")
        wakeup.notify(RollupFeed.topic)
    }

    /// Buckets are right without it, and made anew faster with it. What is interrupted is begun again.
    private func makeIndex(_ rollup: Int64) async {
        do {
            try await pool.withConnection { connection in
                for statement in try await connection.query(RollupIndex(rollupID: rollup)) {
                    let making = PostgresQuery(unsafeText: statement)
                    _ = try await connection.query(making, timeout: Self.indexTime)
                }
            }
        } catch {
            logger.info("an index for a rollup was not made", ["error": .describing(error)])
        }
    }

    func died(_ job: Job, error: JobFailure, on connection: PostgresConnection) async throws {
        guard let rollup = Self.rollup(job) else { return }
        try await connection.execute(FailRollup(rollupID: rollup, reason: error.description))
    }

    private static func rollup(_ job: Job) -> Int64? {
        (try? JSONValue.parse(job.arguments))?["rollup"]?.int.map(Int64.init)
    }
}
