import Testing

@testable import Ingest

@Suite("Ingest: memory of large requests")
struct MemoryShareTests {
    private static let mebibyte = 1 << 20

    @Test("Each may hold an equal part, between the smallest and the largest")
    func equalParts() {
        let share = MemoryShare(budget: 32 * Self.mebibyte, maxRequests: 1_000)
        #expect(share.part(holding: 0) == MemoryShare.largestPart)
        for _ in 0..<32 { #expect(share.enter()) }
        #expect(share.part(holding: 0) == Self.mebibyte)
        for _ in 32..<1_000 { #expect(share.enter()) }
        #expect(share.part(holding: 0) == MemoryShare.smallestPart)
        #expect(!share.enter())
        for _ in 0..<1_000 { share.leave(holding: 0) }
        #expect(share.part(holding: 0) == MemoryShare.largestPart)
    }

    @Test("What those that came first hold is not given to later ones a second time")
    func whatIsHeldIsNotFree() {
        let budget = 32 * Self.mebibyte
        let share = MemoryShare(budget: budget, maxRequests: 1_000)
        var held: [Int] = []
        // Each takes all it may before the next one comes.
        for _ in 0..<100 {
            #expect(share.enter())
            held.append(share.part(holding: 0))
            share.hold(held[held.count - 1], insteadOf: 0)
        }
        #expect(held.reduce(0, +) < budget + 100 * MemoryShare.smallestPart)
        #expect(share.part(holding: 0) == MemoryShare.smallestPart)
        for first in 0..<2 {
            share.hold(0, insteadOf: held[first])
            held[first] = 0
        }
        #expect(share.part(holding: 0) == budget / 100)
        for bytes in held { share.leave(holding: bytes) }
        #expect(share.part(holding: 0) == MemoryShare.largestPart)
    }

    @Test("What a request holds itself does not lessen its part")
    func ownBytes() {
        let share = MemoryShare(budget: 8 * Self.mebibyte, maxRequests: 2)
        for _ in 0..<2 {
            #expect(share.enter())
            share.hold(4 * Self.mebibyte, insteadOf: 0)
        }
        #expect(share.part(holding: 4 * Self.mebibyte) == 4 * Self.mebibyte)
    }
}
