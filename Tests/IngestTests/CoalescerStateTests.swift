import Testing

@testable import Ingest

private typealias State = CoalescerState<String, Int>

extension CoalescerState.Action where Key == String, Part == Int {
    fileprivate var parts: [Int]? { if case .commit(_, let parts) = self { parts } else { nil } }
    fileprivate var isNone: Bool { if case .none = self { true } else { false } }
    fileprivate var isLinger: Bool { if case .linger = self { true } else { false } }
    fileprivate var isRefuse: Bool { if case .refuse = self { true } else { false } }
}

@Suite struct CoalescerStateTests {
    @Test func aLoneRequestIsCommittedAtOnceAndItsLaneForgotten() {
        var state = State()
        #expect(state.add(1, bytes: 10, to: "a").parts == [1])
        #expect(state.committed("a").isNone)
        #expect(state.activeLanes == 0)
    }

    @Test func requestsThatComeDuringACommitGoTogetherInOrder() {
        var state = State()
        _ = state.add(1, bytes: 10, to: "a")
        for part in 2...5 { #expect(state.add(part, bytes: 10, to: "a").isNone) }
        #expect(state.committed("a").parts == [2, 3, 4, 5])
    }

    @Test func afterABusyCommitTheNextRequestLingers() {
        var state = State()
        _ = state.add(1, bytes: 10, to: "a")
        _ = state.add(2, bytes: 10, to: "a")
        _ = state.add(3, bytes: 10, to: "a")
        #expect(state.committed("a").parts == [2, 3])
        #expect(state.committed("a").isNone)
        #expect(state.add(4, bytes: 10, to: "a").isLinger)
        #expect(state.add(5, bytes: 10, to: "a").isNone)
        #expect(state.lingered("a").parts == [4, 5])
        #expect(state.lingered("a").isNone)
    }

    @Test func aFullLaneCommitsBesideOneUnderWay() {
        var state = State(limits: .init(bytes: 100, parts: 10, inFlight: 2, waitingBytes: 1_000))
        _ = state.add(1, bytes: 60, to: "a")
        #expect(state.add(2, bytes: 60, to: "a").isNone)
        #expect(state.add(3, bytes: 60, to: "a").parts == [2])
        #expect(state.add(4, bytes: 60, to: "a").isNone, "two are under way")
        #expect(state.committed("a").parts == [3])
    }

    @Test func tooMuchWaitingIsRefusedAndNothingElseHarmed() {
        var state = State(limits: .init(bytes: 100, parts: 10, inFlight: 1, waitingBytes: 150))
        _ = state.add(1, bytes: 100, to: "a")
        #expect(state.add(2, bytes: 100, to: "a").isNone)
        #expect(state.add(3, bytes: 100, to: "b").isRefuse)
        #expect(state.add(4, bytes: 10, to: "b").parts == [4])
        #expect(state.committed("a").parts == [2])
        #expect(state.waitingBytes == 0)
    }

    /// Random histories: every accepted request is committed exactly once, in order within its lane.
    @Test(arguments: 0..<20)
    func randomHistoriesLoseAndRepeatNothing(_ seed: UInt64) {
        var random = SplitMix(seed: seed)
        var state = State(limits: .init(bytes: 50, parts: 5, inFlight: 2, waitingBytes: 400))
        var running: [String] = []
        var lingering: [String] = []
        var accepted: [String: [Int]] = [:]
        var committed: [String: [Int]] = [:]
        func apply(_ action: State.Action) {
            switch action {
            case .none, .refuse: break
            case .linger(let key): lingering.append(key)
            case .commit(let key, let parts):
                running.append(key)
                committed[key, default: []] += parts
            }
        }
        for part in 0..<2_000 {
            switch random.next() % 4 {
            case 0 where !running.isEmpty:
                let key = running.remove(at: Int(random.next() % UInt64(running.count)))
                apply(state.committed(key))
            case 1 where !lingering.isEmpty:
                apply(state.lingered(lingering.removeFirst()))
            default:
                let key = ["a", "b", "c"][Int(random.next() % 3)]
                let action = state.add(part, bytes: Int(random.next() % 40) + 1, to: key)
                if !action.isRefuse { accepted[key, default: []].append(part) }
                apply(action)
            }
        }
        while !running.isEmpty || !lingering.isEmpty {
            if let key = running.popLast() { apply(state.committed(key)) }
            if !lingering.isEmpty { apply(state.lingered(lingering.removeFirst())) }
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
