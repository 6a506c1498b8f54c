import Lifecycle
import Observability
import Postgres

/// Claims jobs for a worker and starts their handling. Used by one task.
final class Fetcher {
    private static let firstPause: Duration = .milliseconds(50)
    private static let longestPause: Duration = .seconds(2)
    /// Jobs taken from the gate in one transaction.
    private static let admissionLimit = 500
    private static let shortestLimit: Duration = .seconds(4)
    private static let longestLimit: Duration = .seconds(64)

    let worker: Worker
    let context: LeaseContext
    private let liveness: Liveness
    private let shutdown: ShutdownSignal
    private var state: FetchState
    private var marks: Marks
    private var share = FairShare()
    private var waiting: [LeaseCore] = []
    private var errorPause = Fetcher.firstPause
    /// A connection that does not answer for so long is given up: its peer may be gone. Longer where a claim has to
    /// pass over millions of dead entries.
    private var statementLimit = Fetcher.shortestLimit

    init(_ worker: Worker, _ context: LeaseContext, _ liveness: Liveness, until shutdown: ShutdownSignal) {
        self.worker = worker
        self.context = context
        self.liveness = liveness
        self.shutdown = shutdown
        state = FetchState(slots: worker.configuration.slots, buffer: worker.configuration.buffer, now: .now)
        marks = Marks(now: .now)
    }

    private var isStopping: Bool { shutdown.isRequested || Task.isCancelled }

    /// Works until the shutdown, in one session after another: a session ends early when the worker is declared lost.
    func run() async {
        while !isStopping {
            guard let session = await register() else { continue }
            // The groups of the session before have all ended: what they told is not this one's.
            _ = worker.mailbox.take()
            state = FetchState(slots: state.slots, buffer: state.buffer, now: .now)
            marks = Marks(now: .now)
            share = FairShare()
            liveness.set(session, isBusy: false)
            await withDiscardingTaskGroup { group in
                while !isStopping, !session.book.isLost {
                    await step(session, &group)
                }
                await giveBackWaiting(session)
            }
            // Nothing runs any more.
            if !session.book.isLost { await leave(session) }
            liveness.set(nil, isBusy: false)
        }
    }

    private func step(_ session: WorkerSession, _ group: inout DiscardingTaskGroup) async {
        let letter = worker.mailbox.take()
        if letter.isNotified { state.notified() }
        state.ended(letter.endedGroups, at: .now)
        for job in letter.cancelled { session.book.cancel(job) }
        if letter.isPauseAsked { await giveBackWaiting(session) }
        do {
            let now = ContinuousClock.now
            switch state.next(
                at: now, sweepAllowedAt: marks.sweepAllowedAt, mustLookAtFlows: share.mustLook(at: now))
            {
            case .start: start(session, &group)
            case .claim(let solo): try await claim(session, solo: solo)
            case .lookAtFlows: try await lookAtFlows(session)
            case .admit: try await admit(session)
            case .advance:
                let statement = AdvanceStatement(queue: session.queue)
                if let row = try await ask(statement).first {
                    marks.advanced(row)
                }
                state.advanced(at: .now)
            case .reconcile: try await reconcile(session)
            case .rest: try await rest(session)
            case .wait(let instant): await worker.mailbox.wait(until: instant)
            }
            errorPause = Self.firstPause
        } catch {
            await pause(after: error, session)
        }
    }

    private func ask<S: PostgresStatement>(_ statement: S) async throws -> [S.Row] {
        try await context.pool.withConnection { [statementLimit] in
            try await $0.query(statement, timeout: statementLimit)
        }
    }

    private func pause(after error: any Error, _ session: WorkerSession) async {
        context.metrics.claimErrors.add()
        if (error as? PostgresError)?.sqlstate == "55000" {
            // The worker is not on the register any more: declared lost and rescued, or its row was purged.
            return session.book.lose()
        }
        if (error as? PostgresError)?.code == .timedOut { statementLimit = min(statementLimit * 2, Self.longestLimit) }
        context.logger.warning("the queue cannot be read", ["error": .describing(error)])
        await worker.mailbox.wait(until: .now + errorPause * (0.5 + worker.configuration.random()))
        errorPause = min(errorPause * 2, Self.longestPause)
    }

    private func claim(_ session: WorkerSession, solo: Bool) async throws {
        let began = ContinuousClock.now
        let limit = solo ? 1 : worker.configuration.maxClaim
        let byFlows = !solo && !share.flows.isEmpty
        let sweep = byFlows ? marks.sweepIsDue(at: began) : solo || marks.maySweep(at: began)
        let done = session.book.takeDone()
        let bounds = marks.bounds(solo: solo, at: began)
        let statement = ClaimStatement(
            worker: session.worker, queue: session.queue, solo: solo, limit: limit, marks: bounds,
            soloLow: marks.solo.low, gateLow: marks.gateLow,
            sweep: sweep, done: done, flows: byFlows ? share.flows(sweeping: sweep) : [])
        state.willClaim()
        let rows: [ClaimStatement.Row]
        do {
            rows = try await ask(statement)
        } catch {
            session.book.restore(done: done)
            state.claimFailed(at: .now)
            liveness.set(session, isBusy: true)
            throw error
        }
        guard case .header(let header) = rows.first else { return }
        let jobs = rows.compactMap { if case .job(let job) = $0 { job } else { nil } }
        let now = ContinuousClock.now
        if byFlows {
            marks.claimedByFlows(jobs.count, swept: sweep, began: began, ended: now)
            share.claimed(jobs, limit: limit, swept: sweep)
        } else {
            marks.claimed(
                jobs, limit: limit, from: bounds, solo: solo, swept: sweep, began: began, ended: now)
        }
        // What is left of an array stands behind: there is more, as after a full claim.
        let count = jobs.contains { $0.items != nil } ? limit : jobs.count
        state.claimed(
            count: count, limit: limit, solo: solo, swept: sweep, byFlows: byFlows, header: header, at: now,
            poll: worker.configuration.pollInterval * (1 + 0.2 * worker.configuration.random()))
        context.metrics.claim.observe(now - began)
        statementLimit = min(max((now - began) * 4, Self.shortestLimit), Self.longestLimit)
        if let lease = header.lease, !jobs.isEmpty { take(lease, jobs, solo: solo, session) }
        if header.isPaused { await giveBackWaiting(session) }
    }

    private func lookAtFlows(_ session: WorkerSession) async throws {
        let began = ContinuousClock.now
        let low = marks.ordinary.low
        let statement = FlowsStatement(
            queue: session.queue, low: low, after: share.after, limit: FairShare.maximumFlows)
        guard let row = try await ask(statement).first else { return }
        share.found(row, low: low[Int(2 - row.priority)], began: began, ended: .now)
    }

    /// What it lets through may be more than this worker takes: the others are told.
    private func admit(_ session: WorkerSession) async throws {
        let statement = AdmitStatement(queue: session.queue, low: marks.gateLow, limit: Self.admissionLimit)
        guard let row = try await ask(statement).first else { return }
        state.admitted(Int(row.moved), isMore: row.isMore)
        context.metrics.admitted.add(Int(row.moved))
        if row.moved > 1 { context.wakeup.notify(worker.queue) }
    }

    private func take(_ id: Int64, _ jobs: [Job], solo: Bool, _ session: WorkerSession) {
        let lease = LeaseCore(
            id: id, jobs: jobs, isSolo: solo, context: context, session: session)
        session.book.add(lease)
        waiting.append(lease)
        liveness.set(session, isBusy: true)
        context.metrics.claimed.add(jobs.count)
    }

    private func start(_ session: WorkerSession, _ group: inout DiscardingTaskGroup) {
        let lease = waiting.removeFirst()
        state.started()
        group.addTask { [mailbox = worker.mailbox] in
            await lease.handle()
            session.book.remove(lease)
            mailbox.groupEnded()
        }
    }

    private func reconcile(_ session: WorkerSession) async throws {
        let statement = ReconcileStatement(worker: session.worker, known: session.book.held)
        let given = try await ask(statement).first ?? 0
        if given > 0 {
            context.metrics.returned.add(Int(given))
            state.notified()
        }
        state.reconciled()
    }

    private func rest(_ session: WorkerSession) async throws {
        let done = session.book.takeDone()
        let statement = RestStatement(worker: session.worker, isUncertain: false, done: done)
        do {
            let isAlive = try await ask(statement).first ?? false
            if !isAlive { session.book.lose() }
        } catch {
            session.book.restore(done: done)
            throw error
        }
        state.rested()
        liveness.set(session, isBusy: false)
    }

    // MARK: Beginning and end of a session

    private func register() async -> WorkerSession? {
        let statement = RegisterWorkerStatement(queue: worker.queue, name: worker.configuration.name)
        do {
            let row = try await ask(statement).first
            errorPause = Self.firstPause
            return row.map { WorkerSession($0, pool: context.pool) }
        } catch {
            context.logger.warning("a worker could not register", ["error": .describing(error)])
            await worker.mailbox.wait(until: .now + errorPause * (0.5 + worker.configuration.random()))
            errorPause = min(errorPause * 2, Self.longestPause)
            return nil
        }
    }

    /// Gives back the groups that were claimed and not started. What fails here is rescued later.
    private func giveBackWaiting(_ session: WorkerSession) async {
        state.gaveBack(waiting.count)
        for lease in waiting {
            session.book.remove(lease)
            guard !session.book.isLost else { continue }
            let statement = GiveBackStatement(lease: lease.id)
            let given = try? await ask(statement).first ?? nil
            context.metrics.returned.add(Int(given.flatMap { $0 } ?? 0))
        }
        if !waiting.isEmpty { context.wakeup.notify(worker.queue) }
        waiting = []
    }

    private func leave(_ session: WorkerSession) async {
        let rest = RestStatement(worker: session.worker, isUncertain: true, done: session.book.takeDone())
        let leave = LeaveStatement(worker: session.worker)
        do {
            try await context.pool.withConnection { [statementLimit] connection in
                _ = try await connection.run([rest, leave], timeout: statementLimit)
            }
        } catch {
            context.logger.warning("a worker could not leave the register", ["error": .describing(error)])
        }
    }
}
