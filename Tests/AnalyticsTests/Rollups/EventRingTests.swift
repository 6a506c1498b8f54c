import HTTP
import JSON
import Testing

@testable import Analytics

@Suite struct EventRingTests {
    private func event(_ id: Int64, bytes: Int = 2) -> RollupEvent {
        RollupEvent(id, of: 7, data: Array(repeating: 0x20, count: bytes))
    }

    private func ids(_ next: EventRing.Next) -> [Int64]? {
        if case .events(let events) = next { events.map(\.id) } else { nil }
    }

    @Test func whatComesAfterAnEventIsGivenInOrder() {
        var ring = EventRing(after: 4)
        #expect(ring.next(after: 4) == .nothing && ring.next(after: 3) == .missed)
        for id in Int64(5)...8 { ring.append(event(id)) }
        #expect(ids(ring.next(after: 4)) == [5, 6, 7, 8])
        #expect(ids(ring.next(after: 7)) == [8])
        #expect(ring.next(after: 8) == .nothing)
        #expect(ring.next(after: 9) == .nothing, "a listener may be ahead of the ring")
        #expect(ring.next(after: 3) == .missed)
    }

    @Test func countAndBytesAreBounded() {
        var ring = EventRing(after: 0)
        for id in Int64(1)...1000 { ring.append(event(id)) }
        #expect(ids(ring.next(after: 1000 - 256))?.count == 256)
        #expect(ring.next(after: 1000 - 257) == .missed)
        ring.append(event(1001, bytes: EventRing.maximumBytes / 2 + 1))
        ring.append(event(1002, bytes: EventRing.maximumBytes / 2))
        #expect(ring.byteCount <= EventRing.maximumBytes)
        #expect(ids(ring.next(after: 1001)) == [1002] && ring.next(after: 1000) == .missed)
        ring.append(event(1003, bytes: EventRing.maximumBytes + 1))
        #expect(ring.byteCount == 0 && ring.last == 1003 && ring.next(after: 1002) == .missed)
        ring.append(event(1004))
        #expect(ids(ring.next(after: 1003)) == [1004])
    }

    @Test func anEventBeforeWhichSomeAreMissingBeginsAnew() {
        var ring = EventRing(after: 0)
        ring.append(event(1))
        ring.append(event(5))
        #expect(ring.next(after: 1) == .missed)
        #expect(ids(ring.next(after: 4)) == [5] && ring.last == 5)
    }

    @Test func positionsAreThoseOfTheRollup() {
        func position(_ text: String) -> Int64? { RollupEvent.position(text, of: 7, last: 41) }
        #expect(position("7.41") == 41 && position("7.0") == 0)
        for text in ["7.42", "8.41", "7.-1", "7.041", "7.+4", "41", "", ".", "7.", "7.4.1", "7. 4", "x.y"] {
            #expect(position(text) == nil, "\(text)")
        }
    }

    @Test func eventsAreServerSentOnes() {
        var octets: [UInt8] = []
        RollupEvent(3, of: 7, data: Array(#"{"items":[]}"#.utf8)).message.encode(into: &octets)
        RollupEvent(4, of: 7, reset: .changed).message.encode(into: &octets)
        #expect(
            String(decoding: octets, as: UTF8.self)
                == "id: 7.3\ndata: {\"items\":[]}\n\nid: 7.4\nevent: reset\ndata: {\"reason\":\"changed\"}\n\n")
    }
}
