import Lifecycle
import Testing

@Suite struct ShutdownSignalTests {
    @Test func resumesEveryWaiter() async {
        let signal = ShutdownSignal()
        #expect(!signal.isRequested)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<50 {
                group.addTask {
                    await signal.requested()
                    return signal.isRequested
                }
            }
            await Task.yield()
            signal.request()
            signal.request()
            for await requested in group { #expect(requested) }
        }
        await signal.requested()
    }

    /// Cancellation that races with the beginning of the wait must neither hang nor resume twice.
    @Test func cancellationEndsAWait() async {
        let signal = ShutdownSignal()
        for _ in 0..<500 {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await signal.requested() }
                group.cancelAll()
            }
        }
        #expect(!signal.isRequested)
    }
}
