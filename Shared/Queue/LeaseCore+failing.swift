import Observability
import Postgres

/// Failed attempts. None of this gives up while the lease is held: the process lives, so nobody else would.
extension LeaseCore {
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(5)
    /// How long a slot rests with jobs for which the server's disk had no room.
    private static let diskPause = Duration.seconds(1)

    /// Retries or buries; returns once it is durable, the lease is lost, or the task is cancelled.
    func fail(_ failures: [(job: Job, failure: JobFailure)]) async {
        var retries: [(job: Job, failure: JobFailure, delay: Duration)] = []
        var uncharged: [Job] = []
        for (job, failure) in failures {
            spans?.end([job], .failed(failure.code))
            if isCancelled(job) {
                noteClosed([job])
            } else if failure.isUncharged {
                uncharged.append(job)
            } else if failure.isPermanent || job.attempt >= job.lastAttempt {
                await bury(job, failure)
            } else {
                retries.append((job, failure, delay(job, failure)))
            }
        }
        await retry(retries)
        if failures.contains(where: \.failure.isDiskFault) { try? await Task.sleep(for: Self.diskPause) }
        await giveBack(uncharged)
    }

    /// Gives jobs back without an attempt charged: they did nothing wrong.
    private func giveBack(_ jobs: [Job]) async {
        guard !jobs.isEmpty else { return }
        await insist("give back") { [context] in
            try await self.close(jobs) { lease, finish in
                GiveBackSomeStatement(lease: lease, jobs: jobs, finish: finish)
            }
            context.metrics.returned.add(jobs.count)
            context.wakeup.notify(context.queue)
        }
    }

    /// What is left of a job whose attempts are used up. Its last error is the one to report.
    func buryDoomed(_ job: Job) async {
        let statement = LastErrorStatement(job: job)
        var text = ""
        await insist("read the last error") { [context] in
            text = try await context.pool.withConnection { try await $0.query(statement).first } ?? ""
        }
        let parts = text.split(separator: ":", maxSplits: 1)
        let failure = JobFailure(
            code: parts.first.map(String.init) ?? "error",
            message: parts.count > 1 ? parts[1].trimmingPrefix(" ").description : text)
        await bury(job, failure)
    }

    /// The dead outcome and `JobHandler.died` in one transaction. If that throws, the job is deferred beyond its last
    /// attempt: whoever claims it then comes here again, five times; after that it is buried without the handler.
    private func bury(_ job: Job, _ failure: JobFailure) async {
        let asksHandler = job.attempt <= job.lastAttempt + 5
        var refusal: (any Error)?
        await insist("bury") { [context] in
            do {
                try await self.close([job]) { connection in
                    if asksHandler { try await context.handler.died(job, error: failure, on: connection) }
                } statement: { lease, finish in
                    BuryStatement(lease: lease, job: job, failure: failure, finish: finish)
                }
                context.metrics.dead.add()
                context.logger.error(
                    "a job is dead",
                    [
                        "queue.name": .string(context.queue), "job.id": .int(Int(job.id)),
                        "job.kind": .string(job.kind), "error.code": .string(failure.code),
                    ])
            } catch let error as PostgresError where error.isUnavailable || error.code == .commitUnknown {
                throw error
            } catch let error as QueueError where error.code == .cancelled {
                self.noteClosed([job])
            } catch {
                if !LeaseFence.isLost(error) { refusal = error }
            }
        }
        guard let refusal else { return }
        context.logger.error(
            "a job could not be buried",
            ["queue.name": .string(context.queue), "job.id": .int(Int(job.id)), "error": .describing(refusal)])
        await retry([(job, failure, delay(job, failure))])
    }

    private func retry(_ retries: [(job: Job, failure: JobFailure, delay: Duration)]) async {
        guard !retries.isEmpty else { return }
        var alreadyClosed = false
        await insist("retry") { [context] in
            do {
                try await self.close(retries.map(\.job)) { lease, finish in
                    RetryStatement(lease: lease, jobs: retries, finish: finish)
                }
                context.metrics.retried.add(retries.count)
                // The leader learns of the due time.
                context.wakeup.notify(context.queue)
            } catch let error as QueueError where error.code == .cancelled {
                alreadyClosed = true
            }
        }
        // An outcome is there already: cancelled, or a settle that was given up as unknown had committed.
        guard alreadyClosed else { return }
        noteClosed(retries.map(\.job).filter(isCancelled))
        await retry(retries.filter { !isCancelled($0.job) })
    }

    private func delay(_ job: Job, _ failure: JobFailure) -> Duration {
        let backoff = context.kinds[job.kind]?.backoff ?? context.backoff
        return failure.retryAfter ?? backoff.delay(afterAttempt: job.attempt, random: context.random())
    }

    /// Repeats until it succeeds, the lease is lost or the task is cancelled.
    func insist(_ doing: StaticString, _ body: () async throws -> Void) async {
        var pause = Self.firstPause
        while !isLost, !Task.isCancelled {
            do {
                return try await body()
            } catch {
                if LeaseFence.isLost(error) { return }
                if let error = error as? QueueError, [.notHeld, .cancelled].contains(error.code) { return }
                context.logger.warning(
                    "an attempt's end could not be recorded; trying again",
                    ["queue.name": .string(context.queue), "doing": .describing(doing), "error": .describing(error)])
            }
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.longestPause)
        }
    }
}
