import Records
import Testing

@testable import Ingest

@Suite struct StreamStateTests {
    private func frame(_ text: String, _ format: RecordFormat = .ndjson) -> BatchFrame {
        var frame = BatchFrame(format: format)
        frame.append(record: Array(text.utf8))
        return frame
    }

    /// A state that has told where the stream is.
    private func opened(_ acknowledged: Int64 = 0) -> StreamState {
        var state = StreamState(acknowledged: acknowledged)
        #expect(state.next() == .acknowledge(acknowledged))
        #expect(state.next() == .wait && !state.hasWork)
        return state
    }

    private func land(_ state: inout StreamState) -> StreamGroup? {
        if case .land(let group) = state.next() { group } else { nil }
    }

    @Test func whatComesDuringACommitIsLandedTogether() throws {
        var state = opened()
        try state.accept(1, frame("a"))
        let first = try #require(land(&state))
        #expect(first.first == 1 && first.last == 1)
        for seq in 2...50 { try state.accept(Int64(seq), frame("\(seq)")) }
        #expect(state.next() == .wait && !state.hasWork, "one group at a time")
        state.landed()
        #expect(state.next() == .acknowledge(1))
        let second = try #require(land(&state))
        #expect(second.first == 2 && second.last == 50 && second.frame.recordCount == 49)
        state.landed()
        #expect(state.next() == .acknowledge(50) && state.next() == .wait)
        #expect(state.unacknowledgedBytes == 0)
    }

    @Test func numbersAreImpliedFromWhereTheStreamIs() throws {
        var state = opened(41)
        try state.accept(nil, frame("a"))
        try state.accept(nil, frame("b"))
        try state.accept(44, frame("c"))
        let group = try #require(land(&state))
        #expect(group.first == 42 && group.last == 44)
    }

    @Test func aGapIsAnErrorAndLeavesTheRest() throws {
        var state = opened(3)
        try state.accept(4, frame("a"))
        #expect(throws: StreamState.Gap(expected: 5, received: 6)) { try state.accept(6, frame("c")) }
        let group = try #require(land(&state))
        #expect(group.last == 4)
        state.landed()
        state.end()
        #expect(state.next() == .acknowledge(4) && state.next() == .end)
    }

    @Test func repeatsAreAcknowledgedAndNotLanded() throws {
        var state = opened(10)
        #expect(try !state.accept(10, frame("old")))
        #expect(try !state.accept(3, frame("older")))
        #expect(state.next() == .acknowledge(10) && state.next() == .wait)
        #expect(try state.accept(11, frame("new")))
        #expect(try !state.accept(11, frame("again")))
        let group = try #require(land(&state))
        #expect(group.frame.recordCount == 1 && group.frame.record(0).elementsEqual("new".utf8))
        #expect(try !state.accept(11, frame("again")))
        #expect(state.next() == .wait, "not before it is committed")
        state.landed()
        #expect(state.next() == .acknowledge(11))
    }

    @Test func groupsHaveOneFormatAndABound() throws {
        var state = opened()
        try state.accept(1, frame("a"))
        try state.accept(2, frame("b", .json))
        try state.accept(3, frame("c", .json))
        let large = String(repeating: "x", count: StreamState.groupBytes - 4)
        try state.accept(4, frame(large, .json))
        try state.accept(5, frame(large + large, .json))
        try state.accept(6, frame("d", .json))
        var groups: [ClosedRange<Int64>] = []
        while let group = land(&state) {
            groups.append(group.first...group.last)
            state.landed()
            #expect(state.next() == .acknowledge(group.last))
        }
        #expect(groups == [1...1, 2...3, 4...4, 5...5, 6...6])
    }

    @Test func unacknowledgedBytesAreCounted() throws {
        var state = opened()
        try state.accept(1, frame(String(repeating: "x", count: 1000)))
        let one = state.unacknowledgedBytes
        #expect(one > 1000)
        _ = land(&state)
        try state.accept(2, frame(String(repeating: "x", count: 1000)))
        #expect(state.unacknowledgedBytes == 2 * one)
        state.landed()
        #expect(state.unacknowledgedBytes == one)
    }

    @Test func theEndComesAfterAllIsLanded() throws {
        var state = opened()
        try state.accept(1, frame("a"))
        state.end()
        #expect(land(&state) != nil)
        #expect(state.next() == .wait)
        state.landed()
        #expect(state.next() == .acknowledge(1) && state.next() == .end)
    }
}
