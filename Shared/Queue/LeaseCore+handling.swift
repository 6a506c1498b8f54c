import Observability
import Postgres

/// A group of jobs from its start to its end.
extension LeaseCore {
    /// Buries the jobs whose attempts are used up, has the others handled, and ends the attempts left open.
    func handle() async {
        context.metrics.running.add(1)
        let began = ContinuousClock.now
        for job in jobs where job.isDoomed { await buryDoomed(job) }
        let alive = jobs.filter { !$0.isDoomed }
        if !alive.isEmpty {
            context.metrics.starting(alive)
            await freeKeys(of: alive)
            await handle(spans?.begin(alive) ?? alive)
        }
        let failure = JobFailure(code: "unsettled", message: "the handler returned without settling the job")
        await fail(openJobs.map { ($0, failure) })
        spans?.endRest()
        context.metrics.handling.observe(.now - began)
        context.metrics.running.add(-1)
    }

    /// Before the handler begins: what is enqueued with the same key from then on finds the key free.
    private func freeKeys(of alive: [Job]) async {
        let starting = alive.filter { $0.traits.contains(.freesKey) }
        guard !starting.isEmpty else { return }
        let statement = StartedStatement(jobs: starting)
        await insist("free unique keys") { [context] in
            try await context.pool.withConnection { _ = try await $0.execute(statement) }
        }
    }

    /// Until the handler returns. When its time is over, or all of its jobs were cancelled, it is told by the
    /// cancellation of its task; jobs whose time is over are given to others without waiting for it.
    private func handle(_ alive: [Job]) async {
        let deadline = timeout(of: alive).map { ContinuousClock.now + $0 }
        await withTaskGroup(of: Bool.self) { group in
            // The rest runs on the fetcher's loop; what a handler does may take its time.
            group.addTask(executorPreference: globalConcurrentExecutor) {
                await self.context.handler.handle(alive, lease: Lease(core: self))
                return true
            }
            group.addTask {
                await self.interruption.wait(until: deadline)
                return false
            }
            let returned = await group.next() ?? true
            let isOver = !returned && !Task.isCancelled && deadline.map { ContinuousClock.now >= $0 } ?? false
            // Before the handler is told: it might settle what is given to others.
            if isOver { expire() }
            group.cancelAll()
            guard isOver else { return }
            context.metrics.timedOut.add(openJobs.count)
            await fail(openJobs.map { ($0, .timedOut) })
        }
    }

    /// The longest of the jobs' kinds; nil where one has none.
    private func timeout(of alive: [Job]) -> Duration? {
        var longest: Duration?
        for job in alive {
            guard let timeout = context.kinds[job.kind]?.timeout else { return nil }
            longest = max(longest ?? timeout, timeout)
        }
        return longest
    }
}
