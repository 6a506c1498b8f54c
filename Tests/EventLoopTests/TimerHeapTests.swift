import Testing

@testable import EventLoop

@Suite struct TimerHeapTests {
    @Test func firesInOrderOfDeadlineThenInsertion() {
        let start = LoopTime.now
        var heap = TimerHeap<Int>()
        _ = heap.insert(at: start + LoopInterval(.seconds(2)), 2)
        _ = heap.insert(at: start + LoopInterval(.seconds(1)), 0)
        _ = heap.insert(at: start + LoopInterval(.seconds(1)), 1)
        let early = heap.popExpired(now: start)
        #expect(early == nil)
        let end = start + LoopInterval(.seconds(3))
        let order = [heap.popExpired(now: end), heap.popExpired(now: end), heap.popExpired(now: end)]
        #expect(order == [0, 1, 2])
        #expect(heap.isEmpty && heap.nextDeadline == nil)
    }

    @Test func aStaleIdMatchesNoLaterTimer() {
        let start = LoopTime.now
        var heap = TimerHeap<Int>()
        let first = heap.insert(at: start, 1)
        let fired = heap.popExpired(now: start)
        let second = heap.insert(at: start, 2)
        let stale = heap.remove(first)
        let moved = heap.move(first, to: start)
        let removed = [heap.remove(second), heap.remove(second)]
        #expect(fired == 1 && stale == nil && !moved)
        #expect(removed == [2, nil])
    }

    /// Random operations against a sorted list.
    @Test(arguments: [UInt64(1), 2, 3, 4])
    func agreesWithASortedList(seed: UInt64) {
        var random = SplitMix(state: seed)
        let start = LoopTime.now
        var heap = TimerHeap<Int>()
        var model: [(deadline: Int, order: Int, payload: Int, id: TimerID)] = []
        for step in 0..<4000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let deadline = Int.random(in: 0..<500, using: &random)
                model.append(
                    (deadline, step, step, heap.insert(at: start + LoopInterval(.milliseconds(deadline)), step)))
            case 5 where !model.isEmpty:
                let victim = model.remove(at: Int.random(in: model.indices, using: &random))
                let removed = heap.remove(victim.id)
                #expect(removed == victim.payload)
            case 6 where !model.isEmpty:
                let index = Int.random(in: model.indices, using: &random)
                model[index].deadline = Int.random(in: 0..<500, using: &random)
                let moved = heap.move(model[index].id, to: start + LoopInterval(.milliseconds(model[index].deadline)))
                #expect(moved)
            default:
                let now = Int.random(in: 0..<500, using: &random)
                let due = model.filter { $0.deadline <= now }.min { ($0.deadline, $0.order) < ($1.deadline, $1.order) }
                let popped = heap.popExpired(now: start + LoopInterval(.milliseconds(now)))
                #expect(popped == due?.payload)
                model.removeAll { $0.payload == due?.payload }
            }
            #expect(heap.count == model.count)
            #expect(heap.nextDeadline == model.map(\.deadline).min().map { start + LoopInterval(.milliseconds($0)) })
        }
    }
}

/// SplitMix64, so that a failing seed can be run again.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
