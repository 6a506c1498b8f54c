import Testing

@testable import Lifecycle

@Suite struct SupervisionTests {
    private struct Failed: Error, Equatable {}

    @Test func stopsInReverseOrderOneAfterTheOther() {
        var state = Supervision(names: ["a", "b", "c"])
        #expect(state.react(to: .stopRequested) == [.startDeadline, .stop(2)])
        #expect(state.react(to: .stopRequested).isEmpty)
        #expect(state.react(to: .ended(2, nil)) == [.stop(1)])
        // One that ends out of turn is not asked.
        #expect(state.react(to: .ended(0, nil)).isEmpty)
        #expect(!state.isFinished)
        #expect(state.react(to: .ended(1, nil)).isEmpty)
        #expect(state.isFinished && state.failure == nil)
    }

    @Test func aFailureStopsTheOthersAndIsTheResult() {
        var state = Supervision(names: ["a", "b"])
        #expect(state.react(to: .ended(1, Failed())) == [.startDeadline, .stop(0)])
        #expect(state.react(to: .ended(0, CancellationError())).isEmpty)
        #expect(state.isFinished && state.failure is Failed)
    }

    @Test func anEarlyEndIsAFailure() {
        var state = Supervision(names: ["a", "b"])
        #expect(state.react(to: .ended(0, nil)) == [.startDeadline, .stop(1)])
        #expect(state.failure as? LifecycleError == .endedEarly(service: "a"))
    }

    @Test func theDeadlineCancelsWhatIsLeft() {
        var state = Supervision(names: ["a", "b", "c"])
        _ = state.react(to: .stopRequested)
        _ = state.react(to: .ended(2, nil))
        #expect(state.react(to: .deadlinePassed) == [.cancelAll])
        #expect(state.failure as? LifecycleError == .drainTimedOut(services: ["a", "b"]))
        #expect(state.react(to: .ended(1, CancellationError())).isEmpty)
        #expect(state.react(to: .ended(0, nil)).isEmpty)
        #expect(state.isFinished)
    }

    @Test func aGroupWithoutServicesIsFinished() {
        var state = Supervision(names: [])
        #expect(state.isFinished)
        #expect(state.react(to: .stopRequested).isEmpty)
    }
}
