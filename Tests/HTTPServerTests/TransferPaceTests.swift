import EventLoop
import Testing

@testable import HTTPServer

@Suite struct TransferPaceTests {
    private let start = LoopTime.now

    private func pace() -> TransferPace {
        TransferPace(idle: .seconds(30), rate: 1000, grace: .seconds(10))
    }

    @Test func graceComesFirstThenTheRate() {
        var pace = pace()
        #expect(pace.deadline(from: start) == start + LoopInterval(.seconds(10)))
        pace.waited(LoopInterval(.seconds(9)))
        #expect(pace.deadline(from: start) == start + LoopInterval(.seconds(1)))
        pace.moved(2500)
        #expect(pace.deadline(from: start) == start + LoopInterval(.milliseconds(3500)))
    }

    @Test func aTotalEndsWhatIsFastEnough() {
        var pace = TransferPace(idle: .seconds(30), rate: 1000, grace: .seconds(10), total: .seconds(60))
        pace.moved(1_000_000_000)
        #expect(pace.deadline(from: start) == start + LoopInterval(.seconds(30)))
        pace.waited(LoopInterval(.seconds(59)))
        #expect(pace.deadline(from: start) == start + LoopInterval(.seconds(1)))
        pace.waited(LoopInterval(.seconds(1)))
        #expect(pace.deadline(from: start) == nil)
    }

    @Test func theIdleLimitHoldsHoweverMuchHasCome() {
        var pace = pace()
        pace.moved(1_000_000_000)
        #expect(pace.deadline(from: start) == start + LoopInterval(.seconds(30)))
    }

    @Test func oneThatWasTooSlowIsNotWaitedForAgain() {
        var pace = pace()
        pace.waited(LoopInterval(.seconds(10)))
        #expect(pace.deadline(from: start) == nil)
        pace.moved(1)
        #expect(pace.deadline(from: start) == start + LoopInterval(.milliseconds(1)))
    }
}
