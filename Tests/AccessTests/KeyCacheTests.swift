import Testing

@testable import Access

@Suite struct KeyCacheTests {
    private let start = ContinuousClock.now

    private func hash(_ number: Int) -> KeyHash {
        KeyHash(of: Array("\(number)".utf8))
    }

    private func principal(_ number: Int64) -> Principal {
        Principal(workspaceID: 1, workspace: "default", keyID: number, scopes: ScopeSet([]))
    }

    @Test func aKnownKeyIsUsedUntilItsLifetimeIsOver() {
        var cache = KeyCache(lifetime: .seconds(10))
        #expect(cache.answer(for: hash(1), now: start) == .lookUp)
        cache.store(principal(1), validFor: nil, for: hash(1), started: start)
        #expect(cache.answer(for: hash(1), now: start) == .known(principal(1)))
        #expect(cache.answer(for: hash(1), now: start + .seconds(7)) == .known(principal(1)))
        #expect(cache.answer(for: hash(1), now: start + .seconds(10)) == .lookUp)
    }

    @Test func oneRequestRefreshesABusyKeyWhileTheOthersUseIt() {
        var cache = KeyCache(lifetime: .seconds(10))
        cache.store(principal(1), validFor: nil, for: hash(1), started: start)
        let late = start + .seconds(9)
        #expect(cache.answer(for: hash(1), now: late) == .refresh(principal(1)))
        #expect(cache.answer(for: hash(1), now: late) == .known(principal(1)))
        // Its lookup takes too long: at the end of the lifetime everybody looks it up.
        #expect(cache.answer(for: hash(1), now: start + .seconds(10)) == .lookUp)
        cache.store(principal(1), validFor: nil, for: hash(1), started: late)
        #expect(cache.answer(for: hash(1), now: start + .seconds(11)) == .known(principal(1)))
        #expect(cache.answer(for: hash(1), now: late + .seconds(10)) == .lookUp)
    }

    @Test func theLifetimeBeginsWhenTheLookupBegan() {
        var cache = KeyCache(lifetime: .seconds(10))
        // The answer took 6 s; what it says was true 6 s ago.
        cache.store(principal(1), validFor: nil, for: hash(1), started: start)
        #expect(cache.answer(for: hash(1), now: start + .seconds(10)) == .lookUp)
    }

    @Test func aKeyThatExpiresSoonerIsForgottenSooner() {
        var cache = KeyCache(lifetime: .seconds(10))
        cache.store(principal(1), validFor: .seconds(3), for: hash(1), started: start)
        #expect(cache.answer(for: hash(1), now: start + .milliseconds(900)) == .known(principal(1)))
        #expect(cache.answer(for: hash(1), now: start + .seconds(3)) == .lookUp)
    }

    @Test func aKeyThatDoesNotExistIsRememberedToo() {
        var cache = KeyCache(lifetime: .seconds(10))
        cache.store(nil, validFor: nil, for: hash(1), started: start)
        #expect(cache.answer(for: hash(1), now: start + .seconds(9)) == .refused)
        #expect(cache.answer(for: hash(1), now: start + .seconds(10)) == .lookUp)
        cache.store(principal(1), validFor: nil, for: hash(1), started: start + .seconds(1))
        #expect(cache.answer(for: hash(1), now: start + .seconds(2)) == .known(principal(1)))
        cache.store(nil, validFor: nil, for: hash(1), started: start + .seconds(2))
        #expect(cache.answer(for: hash(1), now: start + .seconds(3)) == .refused)
    }

    @Test func tryingManyKeysIsBoundedAndDoesNotPushOutTheGoodOnes() {
        var cache = KeyCache(lifetime: .seconds(10), capacity: 100)
        cache.store(principal(1), validFor: nil, for: hash(-1), started: start)
        for number in 0..<10_000 { cache.store(nil, validFor: nil, for: hash(number), started: start) }
        #expect(cache.count <= 101)
        #expect(cache.answer(for: hash(-1), now: start) == .known(principal(1)))
        #expect(cache.answer(for: hash(9999), now: start) == .refused)
    }

    @Test func theOldestGoodKeyIsForgottenFirst() {
        var cache = KeyCache(lifetime: .seconds(10), capacity: 3)
        for number in 0..<5 { cache.store(principal(1), validFor: nil, for: hash(number), started: start) }
        #expect(
            (0..<5).map { cache.answer(for: hash($0), now: start) == .lookUp } == [true, true, false, false, false])
    }

    @Test func refreshingOneKeyForeverTakesNoMemory() {
        var cache = KeyCache(lifetime: .seconds(10), capacity: 3)
        for second in 0..<1000 {
            cache.store(principal(1), validFor: nil, for: hash(1), started: start + .seconds(second))
        }
        #expect(cache.count == 1)
        #expect(cache.answer(for: hash(1), now: start + .seconds(1000)) == .known(principal(1)))
        #expect(cache.orderLength < 20)
    }
}
