import Testing

@testable import Queue

@Suite("Queue: state machines")
struct StateTests {
    private let start = ContinuousClock.now

    private func fetching(slots: Int = 2, buffer: Int = 1) -> FetchState {
        var state = FetchState(slots: slots, buffer: buffer, now: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .advance)
        state.advanced(at: start)
        return state
    }

    private func claim(
        _ state: inout FetchState, _ count: Int, solo: Bool = false, waiting: Bool = false, swept: Bool = true,
        at now: ContinuousClock.Instant
    ) {
        state.willClaim()
        state.claimed(
            count: count, limit: solo ? 1 : 10, solo: solo, swept: swept,
            header: ClaimStatement.Header(lease: 1, soloWaiting: waiting), at: now,
            poll: .seconds(10))
    }

    @Test("Full claims follow one another until the slots and the buffer are full; an ended group makes room")
    func fills() {
        var state = fetching()
        for _ in 0..<2 {
            #expect(state.next(at: start, sweepAllowedAt: start) == .claim(solo: false))
            claim(&state, 10, at: start)
            #expect(state.next(at: start, sweepAllowedAt: start) == .start)
            state.started()
        }
        #expect(state.next(at: start, sweepAllowedAt: start) == .claim(solo: false))
        claim(&state, 10, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .wait(until: start + .seconds(1)))
        state.ended(1, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .start)
    }

    @Test("After a short claim it waits: for a NOTIFY, the poll, or a sweep that was not allowed yet")
    func waits() {
        var state = fetching()
        claim(&state, 0, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .wait(until: start + .seconds(10)))
        state.notified()
        #expect(state.next(at: start, sweepAllowedAt: start) == .claim(solo: false))
        claim(&state, 0, swept: false, at: start)
        let allowed = start + .seconds(2)
        #expect(state.next(at: start, sweepAllowedAt: allowed) == .wait(until: allowed))
        #expect(state.next(at: allowed, sweepAllowedAt: allowed) == .claim(solo: false))
    }

    @Test("At rest nothing is owed: after work come two advances, then rest, then only the poll")
    func rests() {
        var state = fetching()
        claim(&state, 3, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .start)
        state.started()
        state.ended(1, at: start)
        var now = start
        for _ in 0..<2 {
            now += .seconds(1)
            #expect(state.next(at: now, sweepAllowedAt: start) == .advance)
            state.advanced(at: now)
        }
        #expect(state.next(at: now, sweepAllowedAt: start) == .wait(until: start + .seconds(5)))
        #expect(state.next(at: start + .seconds(5), sweepAllowedAt: start) == .rest)
        state.rested()
        #expect(state.next(at: start + .seconds(5), sweepAllowedAt: start) == .wait(until: start + .seconds(10)))
    }

    @Test("A solo job runs when nothing else does, and nothing else beside it; then the ordinary lane has a turn")
    func solo() {
        var state = fetching()
        claim(&state, 10, waiting: true, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .start)
        state.started()
        #expect(state.next(at: start, sweepAllowedAt: start) == .wait(until: start + .seconds(1)))
        state.ended(1, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .claim(solo: true))
        claim(&state, 1, solo: true, at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .start)
        state.started()
        state.notified()
        #expect(state.next(at: start, sweepAllowedAt: start) == .wait(until: start + .seconds(1)))
        let later = start + .milliseconds(999)
        state.ended(1, at: later)
        #expect(state.next(at: later, sweepAllowedAt: start) == .claim(solo: true))
        claim(&state, 1, solo: true, at: later)
        #expect(state.next(at: later, sweepAllowedAt: start) == .start)
        state.started()
        let over = start + .milliseconds(1500)
        state.advanced(at: over)
        state.ended(1, at: over)
        #expect(state.next(at: over, sweepAllowedAt: start) == .claim(solo: false))
    }

    @Test("After a claim whose answer was lost the unknown leases are looked for, twice, and no rest comes between")
    func reconciles() {
        var state = fetching()
        state.willClaim()
        state.claimFailed(at: start)
        #expect(state.next(at: start, sweepAllowedAt: start) == .reconcile)
        state.reconciled()
        #expect(state.next(at: start, sweepAllowedAt: start) == .claim(solo: false))
        claim(&state, 0, at: start)
        let later = start + .seconds(9)
        #expect(state.next(at: later, sweepAllowedAt: start) == .wait(until: start + .seconds(10)))
        claim(&state, 0, at: start + .seconds(25))
        #expect(state.next(at: start + .seconds(30), sweepAllowedAt: start) == .reconcile)
        state.reconciled()
        #expect(state.next(at: start + .seconds(30), sweepAllowedAt: start) == .rest)
    }

    @Test("The lease is finished by the transaction that closes its last job, else by a later claim")
    func lease() throws {
        var state = LeaseState(jobs: keys(1, 2, 3))
        let first = try state.begin(keys(1, 2), byHandler: true)
        #expect(!first)
        #expect(throws: QueueError.self) { _ = try state.begin(keys(2), byHandler: true) }
        let second = try state.begin(keys(3), byHandler: true)
        #expect(!second)
        #expect(state.close(keys(3), finished: false) == false)
        state.reopen(keys(1, 2))
        let third = try state.begin(keys(1, 2), byHandler: true)
        #expect(third)
        #expect(state.close(keys(1, 2), finished: true) == false)
        #expect(state.isFinished)
    }

    @Test("When the last two transactions of a lease run side by side neither finishes it; it is deleted later")
    func leaseSideBySide() throws {
        var state = LeaseState(jobs: keys(1, 2))
        let first = try state.begin(keys(1), byHandler: true)
        let second = try state.begin(keys(2), byHandler: true)
        #expect(!first && !second)
        #expect(state.close(keys(1), finished: false) == false)
        #expect(state.close(keys(2), finished: false) == true)
        state.lose()
        #expect(throws: QueueError.self) { _ = try state.begin(keys(1), byHandler: true) }
    }

    @Test("The first wake-up of a queue goes out at once, then one every 50 ms")
    func wakeups() {
        var state = WakeupState()
        #expect(state.add("a") == true)
        #expect(state.add("a") == false)
        #expect(state.takeDue(at: start, all: false).due == ["a"])
        #expect(state.add("a") == true)
        #expect(state.add("b") == true)
        let (due, next) = state.takeDue(at: start + .milliseconds(20), all: false)
        #expect(due == ["b"])
        #expect(next == start + .milliseconds(50))
        #expect(state.takeDue(at: start + .milliseconds(50), all: false).due == ["a"])
        #expect(state.takeDue(at: start + .milliseconds(60), all: false).next == nil)
    }

    @Test("A claim that sweeps dearly is rationed; a sweep that is overdue starts from the low marks")
    func marks() {
        var marks = Marks(now: start)
        marks.claimed(
            [job(position: 50)], limit: 2, from: .zero, solo: false, swept: true, began: start, ended: start)
        #expect(marks.bounds(solo: false, at: start).fast == [0, 0, 50, 0, 0])
        #expect(marks.maySweep(at: start))
        let dear = start + .milliseconds(100)
        marks.claimed(
            [], limit: 2, from: marks.bounds(solo: false, at: start), solo: false, swept: true, began: start,
            ended: dear)
        #expect(!marks.maySweep(at: dear + .milliseconds(1900)))
        #expect(marks.bounds(solo: false, at: dear + .milliseconds(1900)).fast == [0, 0, 50, 0, 0])
        #expect(marks.bounds(solo: false, at: dear + .seconds(2)).fast == [0, 0, 0, 0, 0])
        marks.advanced(AdvanceStatement.Row(low: [60, 60, 20, 60, 60], soloLow: [1, 1, 1, 1, 1], gateLow: 0))
        #expect(marks.ordinary.low == [60, 60, 20, 60, 60])
        #expect(marks.ordinary.fast == [60, 60, 50, 60, 60])
    }

    /// Two enqueuers, of which the one that drew its positions first commits last.
    @Test("What committed late in bulk is claimed without waiting for the next sweep; what it costs is not the sweep's")
    func lateInBulk() {
        var marks = Marks(now: start)
        func claim(_ jobs: [Job], overdue: Bool = false) {
            let bounds = marks.bounds(solo: false, at: overdue ? start + .seconds(1) : start)
            let ended = start + Marks.jobCost * jobs.count
            marks.claimed(jobs, limit: 2, from: bounds, solo: false, swept: true, began: start, ended: ended)
        }
        claim([job(position: 90), job(position: 91)])
        #expect(marks.ordinary.fast == [0, 0, 91, 0, 0])
        // What is new came first; the tail was looked at up to 10.
        claim([job(position: 92), job(position: 10)])
        #expect(marks.ordinary.fast == [0, 0, 10, 0, 0])
        #expect(marks.maySweep(at: start + .milliseconds(1)))
        claim([job(position: 11), job(position: 12)])
        #expect(marks.ordinary.fast == [0, 0, 12, 0, 0])
        // One that finds less than it may has looked at everything.
        claim([job(position: 95)])
        #expect(marks.ordinary.fast == [0, 0, 95, 0, 0])
        // Overdue, from the low marks on: nothing above what it found was looked at, new or not.
        claim([job(position: 13), job(position: 20)], overdue: true)
        #expect(marks.ordinary.fast == [0, 0, 20, 0, 0])
        // A priority was looked at as a whole once a lower one had its turn.
        claim([job(position: 96, priority: 1), job(position: 21)])
        #expect(marks.ordinary.fast == [0, 96, 21, 0, 0])
    }

    private func job(position: Int64 = 1, workspace: Int64 = 1, priority: Int16 = 0) -> Job {
        Job(
            id: position, kind: "a", attempt: 1, lastAttempt: 20, arguments: [], workspace: workspace,
            priority: priority,
            trace: nil, enqueuedAt: 0, items: nil, position: position, traits: [])
    }

    private func keys(_ jobs: Int64...) -> [Job.Key] { jobs.map { Job.Key(job: $0, first: 0) } }

    @Test("A cancelled job can be begun with by nobody, and counts as done; an expired lease is closed to its handler")
    func cancelledAndExpired() throws {
        var state = LeaseState(jobs: keys(1, 2, 3))
        let isDone = state.cancel(keys(1))
        #expect(!isDone)
        #expect { _ = try state.begin(keys(1, 2), byHandler: true) } throws: { ($0 as? QueueError)?.code == .cancelled }
        #expect(state.isOpen(keys(2)[0]) && state.isCancelled(keys(1)[0]))
        _ = try state.begin(keys(2), byHandler: true)
        #expect(state.close(keys(2), finished: false) == false)
        state.expire()
        #expect { _ = try state.begin(keys(3), byHandler: true) } throws: { ($0 as? QueueError)?.code == .timedOut }
        _ = try state.begin(keys(3), byHandler: false)
        #expect(state.close(keys(3), finished: false) == false)
        #expect(state.close(keys(1), finished: false) == true)
    }

    @Test("Flows take turns: the next claim begins after the last one that was served, and ends them when not full")
    func shares() {
        var share = FairShare()
        #expect(share.mustLook(at: start))
        let row = FlowsStatement.Row(flows: [10, 20, 30], workspaces: [1, 2, 3], priority: 0)
        share.found(row, low: 5, began: start, ended: start)
        #expect(!share.mustLook(at: start + .milliseconds(99)) && share.mustLook(at: start + .milliseconds(100)))
        #expect(share.flows.map(\.fast) == [5, 5, 5])
        share.claimed([job(position: 8)], limit: 1, swept: false)
        #expect(share.flows.map(\.workspace) == [2, 3, 1])
        #expect(share.flows.map(\.fast) == [5, 5, 8])
        #expect(share.flows(sweeping: true).map(\.fast) == [5, 5, 5])
        // The third had one job left; with one left there is nobody to share with.
        share.claimed([1, 1, 2, 2, 3].map { job(workspace: $0) }, limit: 6, swept: false)
        #expect(Set(share.flows.map(\.workspace)) == [1, 2])
        share.claimed([1, 1, 1].map { job(workspace: $0) }, limit: 6, swept: false)
        #expect(share.flows.isEmpty)
    }

    @Test("The backoff doubles up to its cap and is random below it")
    func backoff() {
        let backoff = Backoff(base: .seconds(1), cap: .seconds(60))
        #expect((1...8).map { backoff.ceiling(afterAttempt: $0) } == [1, 2, 4, 8, 16, 32, 60, 60].map { .seconds($0) })
        #expect(backoff.ceiling(afterAttempt: .max) == .seconds(60))
        #expect(backoff.delay(afterAttempt: 3, random: 0.25) == .seconds(1))
    }

    @Test("Nobody is declared lost soon after the leader's own trouble")
    func grace() {
        var state = LeaderState(LeaderConfiguration(), now: start)
        let row = LeadStatement.Row(
            isLeader: true, remaining: .seconds(30), isBusy: true, dueIn: nil, partitionsAhead: 4)
        #expect(state.ticked(row, began: start, ended: start, random: 0) == true)
        #expect(!state.mayDeclareLost(at: start + .seconds(6)))
        #expect(state.tickAt == start + .seconds(5))
        #expect(state.ticked(row, began: start + .seconds(5), ended: start + .seconds(5), random: 0) == false)
        #expect(state.mayDeclareLost(at: start + .seconds(7)))
        // The next tick comes 10 s late: the process or the database was stalled.
        #expect(state.ticked(row, began: start + .seconds(20), ended: start + .seconds(20), random: 0) == false)
        #expect(!state.mayDeclareLost(at: start + .seconds(26)))
        state.failed(at: start + .seconds(30), random: 0)
        #expect(!state.mayDeclareLost(at: start + .seconds(36)))
    }

    @Test(
        "The leader looks a second back each time, ten each second, at all each ten seconds, costly looks more rarely")
    func deferredLooks() {
        var looks = DeferredLooks()
        let second: Int64 = 1_000_000
        let cheap = Duration.milliseconds(1)
        func look(_ offset: Duration, took: Duration = .milliseconds(1)) -> Int64 {
            let after = looks.after(at: start + offset)
            looks.looked(at: start + offset + took, took: took)
            return after
        }
        #expect(look(.zero) == .min)
        // Nothing was moved yet: there is nothing to begin from.
        #expect(look(.milliseconds(500)) == .min)
        looks.moved(upTo: 100 * second)
        #expect(look(.milliseconds(999)) == 99 * second)
        #expect(look(.seconds(1) + cheap) == 90 * second)
        #expect(look(.milliseconds(1500)) == 99 * second)
        #expect(look(.seconds(10)) == 90 * second)
        // It takes 400 ms to read all there is, so that comes after 40 s again; the middle ones go on.
        #expect(look(.seconds(11), took: .milliseconds(400)) == .min)
        #expect(look(.seconds(40)) == 90 * second)
        #expect(look(.seconds(51)) == 90 * second)
        #expect(look(.milliseconds(51_400)) == .min)
        // A look that failed is begun again.
        #expect(looks.after(at: start + .seconds(100)) == .min)
        #expect(look(.seconds(101)) == .min)
    }

    @Test(
        "Where jobs are due all the time the leader rests for twenty times what a move took, 250 ms at most"
    )
    func movesInARow() {
        var state = LeaderState(LeaderConfiguration(), now: start)
        let row = LeadStatement.Row(
            isLeader: true, remaining: .seconds(30), isBusy: true, dueIn: .seconds(-1), partitionsAhead: 4)
        _ = state.deferredAfter(at: start)
        _ = state.ticked(row, began: start, ended: start, random: 0)
        state.moved(upTo: 0, dueIn: .milliseconds(1), began: start, ended: start + .milliseconds(5))
        #expect(state.tickAt == start + .milliseconds(105))
        let later = start + .milliseconds(105)
        _ = state.ticked(row, began: later, ended: later, random: 0)
        state.moved(upTo: 0, dueIn: .zero, began: later, ended: later + .milliseconds(80))
        #expect(state.tickAt == later + .milliseconds(330))
        // What is due later than that is waited for.
        state.moved(upTo: 0, dueIn: .seconds(2), began: later, ended: later + .milliseconds(1))
        #expect(state.tickAt == later + .milliseconds(330))
        _ = state.ticked(row, began: later, ended: later, random: 0)
        state.moved(upTo: 0, dueIn: .seconds(2), began: later, ended: later + .milliseconds(1))
        #expect(state.tickAt == later + .milliseconds(2001))
    }

    @Test("Partitions are looked at every five minutes; with more to do at the next tick, if one was held in a minute")
    func retirement() {
        var state = LeaderState(LeaderConfiguration(), now: start)
        #expect(state.mustRetire(at: start))
        state.retired(again: true, isHeld: false, at: start)
        #expect(state.mustRetire(at: start))
        state.retired(again: true, isHeld: true, at: start)
        #expect(!state.mustRetire(at: start + .seconds(59)))
        #expect(state.mustRetire(at: start + .seconds(60)))
        state.retired(again: false, isHeld: false, at: start)
        #expect(!state.mustRetire(at: start + .seconds(299)))
        #expect(state.mustRetire(at: start + .seconds(300)))
    }
}
