import Testing

@testable import Ingest

private typealias State = CoalescerState<String, Int>

extension CoalescerState.Action where Key == String, Part == Int {
    fileprivate var parts: [Int]? { if case .commit(_, let parts) = self { parts } else { nil } }
    fileprivate var isNone: Bool { if case .none = self { true } else { false } }
    fileprivate var ticket: Int? { if case .linger(_, let ticket, _) = self { ticket } else { nil } }
    fileprivate var isRefuse: Bool { if case .refuse = self { true } else { false } }
}

extension CoalescerState where Key == String, Part == Int {
    fileprivate mutating func add(_ part: Int, bytes: Int, to key: String) -> Action {
        add(part, bytes: bytes, to: key, at: CoalescingPace(bytes: 100, linger: .milliseconds(3)))
    }
}

@Suite struct CoalescerStateTests {
    @Test func aLoneRequestIsCommittedAtOnceAndItsLaneForgotten() {
        var state = State()
        #expect(state.add(1, bytes: 10, to: "a").parts == [1])
        #expect(state.committed("a", 1).isNone)
        #expect(state.activeLanes == 0)
    }

    @Test func requestsThatComeDuringACommitGoTogetherInOrder() {
        var state = State()
        _ = state.add(1, bytes: 10, to: "a")
        for part in 2...5 { #expect(state.add(part, bytes: 10, to: "a").isNone) }
        #expect(state.committed("a", 1).parts == [2, 3, 4, 5])
    }

    /// Two clients that were under way at once, the second of whom is in a commit with a third.
    private func busy() -> State {
        var state = State()
        for part in 1...3 { _ = state.add(part, bytes: 10, to: "a") }
        #expect(state.committed("a", 1).parts == [2, 3])
        #expect(state.committed("a", 2).isNone)
        return state
    }

    @Test func afterABusyCommitTheNextRequestLingers() {
        var state = busy()
        let ticket = state.add(4, bytes: 10, to: "a").ticket
        #expect(state.add(5, bytes: 10, to: "a").isNone)
        #expect(state.lingered("a", ticket: ticket ?? -1).parts == [4, 5])
        #expect(state.lingered("a", ticket: ticket ?? -1).isNone)
    }

    @Test func lingeringEndsWhenAsManyWaitAsWereUnderWay() {
        var state = busy()
        let ticket = state.add(4, bytes: 10, to: "a").ticket
        #expect(ticket != nil)
        #expect(state.add(5, bytes: 10, to: "a").isNone)
        #expect(state.add(6, bytes: 10, to: "a").parts == [4, 5, 6])
        #expect(state.lingered("a", ticket: ticket ?? -1).isNone, "its timer came too late")
    }

    @Test func aTimerDoesNotEndTheNextLingering() {
        var state = busy()
        let first = state.add(4, bytes: 10, to: "a").ticket
        for part in 5...6 { _ = state.add(part, bytes: 10, to: "a") }
        #expect(state.committed("a", 3).isNone)
        let second = state.add(7, bytes: 10, to: "a").ticket
        #expect(first != second)
        #expect(state.lingered("a", ticket: first ?? -1).isNone)
        #expect(state.lingered("a", ticket: second ?? -1).parts == [7])
    }

    @Test func eachLaneHasItsOwnPace() {
        var state = State()
        let (small, slow) = (
            CoalescingPace(bytes: 50, linger: .zero), CoalescingPace(bytes: 1_000, linger: .milliseconds(500))
        )
        for (key, pace) in [("small", small), ("slow", slow)] {
            _ = state.add(0, bytes: 30, to: key, at: pace)
            for part in 1...3 { _ = state.add(part, bytes: 20, to: key, at: pace) }
        }
        #expect(state.committed("slow", 1).parts == [1, 2, 3])
        #expect(state.committed("small", 1).isNone, "the first two were full: committed beside the one under way")
        #expect(state.committed("small", 2).parts == [3])
        #expect(state.committed("small", 1).isNone)
        #expect(state.committed("slow", 3).isNone)
        guard case .linger(_, _, let time) = state.add(4, bytes: 20, to: "slow", at: slow) else {
            Issue.record("it lingers")
            return
        }
        #expect(time == .milliseconds(500))
        #expect(state.add(4, bytes: 20, to: "small", at: small).parts == [4])
        #expect(state.add(5, bytes: 20, to: "slow", at: small).parts == [4, 5], "another pace counts at once")
    }

    @Test func aCrowdThatHasGoneIsForgotten() {
        var state = busy()
        var lingered = 0
        for round in 0..<200 {
            let first = state.add(2 * round, bytes: 10, to: "a")
            #expect(first.ticket != nil)
            if let parts = state.add(2 * round + 1, bytes: 10, to: "a").parts {
                #expect(parts.count == 2)
            } else {
                lingered += 1
                #expect(state.lingered("a", ticket: first.ticket ?? -1).parts?.count == 2)
            }
            #expect(state.committed("a", 2).isNone)
        }
        #expect((1...64).contains(lingered))
    }

    @Test func aFullLaneCommitsBesideOneUnderWay() {
        var state = State(limits: .init(parts: 10, inFlight: 2, waitingBytes: 1_000))
        _ = state.add(1, bytes: 60, to: "a")
        #expect(state.add(2, bytes: 60, to: "a").isNone)
        #expect(state.add(3, bytes: 60, to: "a").parts == [2])
        #expect(state.add(4, bytes: 60, to: "a").isNone, "two are under way")
        #expect(state.committed("a", 1).parts == [3])
    }

    @Test func tooMuchWaitingIsRefusedAndNothingElseHarmed() {
        var state = State(limits: .init(parts: 10, inFlight: 1, waitingBytes: 150))
        _ = state.add(1, bytes: 100, to: "a")
        #expect(state.add(2, bytes: 100, to: "a").isNone)
        #expect(state.add(3, bytes: 100, to: "b").isRefuse)
        #expect(state.add(4, bytes: 10, to: "b").parts == [4])
        #expect(state.committed("a", 1).parts == [2])
        #expect(state.waitingBytes == 0)
    }

    /// Random histories: every accepted request is committed exactly once, in order within its lane.
    @Test(arguments: 0..<20)
    func randomHistoriesLoseAndRepeatNothing(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var state = State(limits: .init(parts: 5, inFlight: 2, waitingBytes: 400))
        var running: [(key: String, count: Int)] = []
        var lingering: [(key: String, ticket: Int)] = []
        var accepted: [String: [Int]] = [:]
        var committed: [String: [Int]] = [:]
        func apply(_ action: State.Action) {
            switch action {
            case .none, .refuse: break
            case .linger(let key, let ticket, _): lingering.append((key, ticket))
            case .commit(let key, let parts):
                running.append((key, parts.count))
                committed[key, default: []] += parts
            }
        }
        for part in 0..<2_000 {
            switch random.next() % 4 {
            case 0 where !running.isEmpty:
                let commit = running.remove(at: Int(random.next() % UInt64(running.count)))
                apply(state.committed(commit.key, commit.count))
            case 1 where !lingering.isEmpty:
                let timer = lingering.removeFirst()
                apply(state.lingered(timer.key, ticket: timer.ticket))
            default:
                let key = ["a", "b", "c"][Int(random.next() % 3)]
                let action = state.add(part, bytes: Int(random.next() % 40) + 1, to: key)
                if !action.isRefuse { accepted[key, default: []].append(part) }
                apply(action)
            }
        }
        while !running.isEmpty || !lingering.isEmpty {
            if let commit = running.popLast() { apply(state.committed(commit.key, commit.count)) }
            if let timer = lingering.popLast() { apply(state.lingered(timer.key, ticket: timer.ticket)) }
        }
        #expect(accepted == committed)
        #expect(state.waitingBytes == 0)
    }
}

struct SplitMix {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
