import Synchronization

/// A ``StreamState`` between the task that receives and the one that lands: each waits for the other here.
final class StreamFlow: Sendable {
    private struct Guarded {
        var state: StreamState
        var hasFailed = false
        var receiver: CheckedContinuation<Void, Never>?
        var lander: CheckedContinuation<Void, Never>?

        func hasRoom(_ limit: Int) -> Bool { hasFailed || state.unacknowledgedBytes < limit }
    }

    private let guarded: Mutex<Guarded>

    init(_ state: StreamState) {
        guarded = Mutex(Guarded(state: state))
    }

    // MARK: - The task that receives

    /// Takes in a message; false for one that was received before.
    func accept(_ message: StreamMessage) throws -> Bool {
        let (result, lander) = guarded.withLock { guarded in
            let result = Result { () throws(StreamState.Gap) in
                try guarded.state.accept(message.seq, message.frame)
            }
            return (result, guarded.lander.take())
        }
        lander?.resume()
        return try result.get()
    }

    /// Waits while as many bytes as `limit` says, or more, are received and not committed. False when nothing is landed
    /// any more.
    func awaitRoom(_ limit: () -> Int) async -> Bool {
        while true {
            let limit = limit()
            if guarded.withLock({ $0.hasRoom(limit) }) { return guarded.withLock { !$0.hasFailed } }
            await withCheckedContinuation { continuation in
                let isDue = guarded.withLock { guarded in
                    if guarded.hasRoom(limit) { return true }
                    guarded.receiver = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        }
    }

    /// Nothing more will come.
    func end() {
        let lander = guarded.withLock { guarded in
            guarded.state.end()
            return guarded.lander.take()
        }
        lander?.resume()
    }

    // MARK: - The task that lands

    /// What is to be done next; waits for it.
    func next() async -> StreamState.Step {
        while true {
            let step = guarded.withLock { $0.state.next() }
            guard step == .wait else { return step }
            await withCheckedContinuation { continuation in
                let isDue = guarded.withLock { guarded in
                    if guarded.state.hasWork { return true }
                    guarded.lander = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        }
    }

    /// The group is committed.
    func landed() { wakeReceiver { $0.state.landed() } }

    /// Nothing is landed any more.
    func fail() { wakeReceiver { $0.hasFailed = true } }

    private func wakeReceiver(_ change: (inout Guarded) -> Void) {
        let receiver = guarded.withLock { guarded in
            change(&guarded)
            return guarded.receiver.take()
        }
        receiver?.resume()
    }
}
