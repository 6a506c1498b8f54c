import Testing

@testable import Postgres

/// Drives the state machine with random histories and checks what must be true after each step.
@Suite struct PoolStateTests {
    typealias Instant = ContinuousClock.Instant

    static func limits(connections: Int = 4, loops: Int = 2, waiters: Int = 6) -> PoolState.Limits {
        PoolState.Limits(
            connections: connections, loops: loops, waiters: waiters, acquireTimeout: .seconds(5),
            unavailableTimeout: .milliseconds(500), idleTimeout: .seconds(60), firstBackoff: .milliseconds(50),
            mostBackoff: .seconds(3))
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func keepsItsPromises(seed: UInt64) throws {
        var world = PoolWorld(seed: seed)
        for _ in 0..<400 { try world.step() }
        try world.finish()
    }

    @Test func prefersTheCallersLoop() {
        var state = PoolState(Self.limits()) { 0.5 }
        let now = Instant.now
        let step1 = state.start()
        #expect(step1 == [])
        let step2 = state.lease(1, loop: 1, now: now)
        #expect(step2.1.first == .open(1, loop: 1, after: .zero))
        let step3 = state.opened(1, now: now)
        #expect(step3 == [.serve(1, 1)])
        let step4 = state.lease(2, loop: 0, now: now)
        #expect(step4.1.first == .open(2, loop: 0, after: .zero))
        let step5 = state.opened(2, now: now)
        #expect(step5 == [.serve(2, 2)])
        _ = state.giveBack(1, usable: true, now: now)
        _ = state.giveBack(2, usable: true, now: now)
        let step6 = state.lease(3, loop: 1, now: now)
        #expect(step6.0 == .use(1))
        // Served at once by another loop's connection, while one of its own is opened.
        let (lease, actions) = state.lease(4, loop: 1, now: now)
        #expect((lease, actions) == (.use(2), [.open(3, loop: 1, after: .zero)]))
    }

    @Test func refusesFastWhileTheDatabaseIsAway() {
        var state = PoolState(Self.limits()) { 1 }
        var now = Instant.now
        _ = state.start()
        _ = state.lease(1, loop: nil, now: now)
        let step7 = state.openFailed(1, now: now)
        #expect(step7.contains(.open(2, loop: 0, after: .milliseconds(50))))
        #expect(state.isAway)
        now += .milliseconds(500)
        let step8 = state.wake(now: now)
        #expect(step8.contains(.refuse(1, .unavailable)))
        // One attempt after the other, at growing distances, without anybody asking.
        let step9 = state.openFailed(2, now: now)
        #expect(step9 == [.open(3, loop: 0, after: .milliseconds(100))])
        let step10 = state.openFailed(3, now: now)
        #expect(step10 == [.open(4, loop: 0, after: .milliseconds(200))])
        _ = state.lease(2, loop: 1, now: now)
        let step11 = state.opened(4, now: now)
        #expect(step11 == [.serve(2, 4)])
        #expect(!state.isAway)
    }

    @Test func closesWhatIsUnused() {
        var state = PoolState(Self.limits()) { 0.5 }
        var now = Instant.now
        _ = state.start()
        _ = state.lease(1, loop: 0, now: now)
        _ = state.opened(1, now: now)
        now += .seconds(10)
        _ = state.giveBack(1, usable: true, now: now)
        let step12 = state.wake(now: now + .seconds(59))
        #expect(!step12.contains(.close(1)))
        let step13 = state.wake(now: now + .seconds(60))
        #expect(step13.contains(.close(1)))
        let step14 = state.closed(1)
        #expect(step14 == [])
        #expect(state.connections.isEmpty)
    }

    @Test func aFullQueueRefuses() {
        var state = PoolState(Self.limits(connections: 1, waiters: 2)) { 0.5 }
        let now = Instant.now
        _ = state.start()
        for waiter in 1...2 as ClosedRange<UInt64> {
            let lease = state.lease(waiter, loop: nil, now: now).0
            #expect(lease == .wait)
        }
        let step15 = state.lease(3, loop: nil, now: now)
        #expect(step15.0 == .refused(.queueFull))
        let step16 = state.cancel(1)
        #expect(step16)
        let step17 = state.cancel(1)
        #expect(!step17)
        let step18 = state.lease(4, loop: nil, now: now)
        #expect(step18.0 == .wait)
        let step19 = state.opened(1, now: now)
        #expect(step19.contains(.serve(2, 1)))
    }
}

/// What surrounds the state machine: attempts to connect, connections being closed, tasks that wait or hold one.
private struct PoolWorld {
    private var random: SplitMix
    private var state: PoolState
    private var now = ContinuousClock.Instant.now
    private let limits: PoolState.Limits
    private var opening: Set<UInt64> = []
    private var open: Set<UInt64> = []
    private var closing: Set<UInt64> = []
    private var leased: [UInt64: UInt64] = [:]
    private var waiting: [UInt64: ContinuousClock.Instant] = [:]
    private var nextWaiter: UInt64 = 1
    private var wakeUps: [ContinuousClock.Instant] = []
    private var finished = false
    private var draining = false

    init(seed: UInt64) {
        random = SplitMix(state: seed)
        limits = PoolStateTests.limits(
            connections: Int.random(in: 1...5, using: &random), loops: Int.random(in: 1...3, using: &random),
            waiters: Int.random(in: 1...8, using: &random))
        state = PoolState(limits) { 0.5 }
    }

    mutating func step() throws {
        now += .milliseconds(Int.random(in: 0...200, using: &random))
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<35: try lease()
        case 35..<60:
            if let id = leased.keys.sorted().randomElement(using: &random) {
                leased[id] = nil
                try carryOut(state.giveBack(id, usable: Int.random(in: 0..<10, using: &random) > 0, now: now))
            }
        case 60..<75:
            if let id = opening.sorted().randomElement(using: &random) {
                try endOpening(id, failing: Bool.random(using: &random))
            }
        case 75..<85:
            if let id = closing.sorted().randomElement(using: &random) { try endClosing(id) }
        case 85..<90:
            if let id = waiting.keys.sorted().randomElement(using: &random) {
                let cancelled = state.cancel(id)
                #expect(cancelled)
                waiting[id] = nil
            }
        case 90..<92:
            if let id = leased.keys.sorted().randomElement(using: &random) {
                leased[id] = nil
                try carryOut(state.foundBroken(id))
            }
        case 92..<95: try carryOut(state.start())
        default: break
        }
        while let next = wakeUps.filter({ $0 <= now }).min() {
            wakeUps.removeAll { $0 == next }
            try carryOut(state.wake(now: now))
        }
        check()
    }

    /// Shuts down: everything ends, and everybody has been answered.
    mutating func finish() throws {
        draining = true
        try carryOut(state.drain())
        #expect(waiting.isEmpty)
        let late = state.lease(.max, loop: nil, now: now).0
        #expect(late == .refused(.closed))
        while let id = leased.keys.first {
            leased[id] = nil
            try carryOut(state.giveBack(id, usable: true, now: now))
        }
        while let id = opening.first { try endOpening(id, failing: Bool.random(using: &random)) }
        while let id = closing.first { try endClosing(id) }
        #expect(finished && state.connections.isEmpty)
    }

    private mutating func lease() throws {
        let waiter = nextWaiter
        nextWaiter += 1
        let loop = Bool.random(using: &random) ? Int.random(in: 0..<limits.loops, using: &random) : nil
        let (lease, actions) = state.lease(waiter, loop: loop, now: now)
        switch lease {
        case .use(let id):
            #expect(open.contains(id) && leased[id] == nil)
            #expect(waiting.isEmpty, "somebody was overtaken")
            leased[id] = waiter
        case .wait: waiting[waiter] = now + limits.acquireTimeout
        case .refused(let refusal):
            #expect(refusal != .closed)
            #expect(waiting.count == limits.waiters)
        }
        try carryOut(actions)
    }

    private mutating func endOpening(_ id: UInt64, failing: Bool) throws {
        opening.remove(id)
        if !failing { open.insert(id) }
        try carryOut(failing ? state.openFailed(id, now: now) : state.opened(id, now: now))
    }

    private mutating func endClosing(_ id: UInt64) throws {
        closing.remove(id)
        try carryOut(state.closed(id))
    }

    private mutating func carryOut(_ actions: [PoolState.Action]) throws {
        for action in actions {
            switch action {
            case .open(let id, let loop, let delay):
                #expect(loop < limits.loops && delay <= limits.mostBackoff && !draining)
                opening.insert(id)
            case .close(let id):
                let wasOpen = open.remove(id) != nil
                #expect(wasOpen && leased[id] == nil)
                closing.insert(id)
            case .serve(let waiter, let id):
                let waited = waiting.removeValue(forKey: waiter) != nil
                #expect(waited && open.contains(id) && leased[id] == nil)
                leased[id] = waiter
            case .refuse(let waiter, let refusal):
                let removed = waiting.removeValue(forKey: waiter)
                let deadline = try #require(removed)
                #expect(refusal == .closed ? draining : refusal == .unavailable || deadline <= now)
            case .wakeAt(let instant): wakeUps.append(instant)
            case .finished:
                #expect(!finished)
                finished = true
            }
        }
    }

    private func check() {
        #expect(opening.count + open.count + closing.count <= limits.connections, "too many connections")
        #expect(state.connections.count == opening.count + open.count + closing.count)
        #expect(state.waiters.count == waiting.count)
        // Nobody waits past the deadline, and nobody waits for ever: a wake-up is due by then.
        for deadline in waiting.values { #expect(deadline > now && wakeUps.contains { $0 <= deadline }) }
        let idle = open.count - leased.count
        #expect(waiting.isEmpty || idle == 0, "somebody waits although a connection is idle")
        if state.phase == .running, !waiting.isEmpty, leased.isEmpty, closing.isEmpty {
            #expect(!opening.isEmpty, "somebody waits for nothing")
        }
    }
}

/// SplitMix64, so that a failing seed fails again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
