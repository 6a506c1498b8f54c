import HTTP
import Synchronization

/// The writing side of an event stream: one writer at a time, in the order they came, and comments in between.
final class EventStream: Sendable {
    private struct State {
        var isWriting = false
        var wroteAt = ContinuousClock.now
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let writer: ResponseWriter
    private let state = Mutex(State())

    init(_ writer: ResponseWriter) {
        self.writer = writer
    }

    func write(_ octets: [UInt8]) async throws {
        await takeTurn()
        defer { endTurn() }
        try await writer.write(octets)
    }

    /// Writes a comment whenever nothing was written for `interval`; until it fails or is cancelled.
    func keepAlive(every interval: Duration) async throws {
        while true {
            let due = state.withLock { $0.wroteAt } + interval
            try await Task.sleep(until: due)
            let isQuiet = state.withLock { state in
                guard !state.isWriting, state.wroteAt + interval <= .now else { return false }
                state.isWriting = true
                return true
            }
            if isQuiet {
                defer { endTurn() }
                try await writer.write(ServerSentEvent.keepAlive)
            } else if state.withLock({ $0.isWriting }) {
                // A slow client is being written to: it is kept alive by that.
                try await Task.sleep(for: interval)
            }
        }
    }

    /// Whoever has the turn gives it up sooner or later, since a write has a time limit: so this is not cancelled.
    private func takeTurn() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                guard state.isWriting else {
                    state.isWriting = true
                    return true
                }
                state.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    /// The turn goes to the next in line, if there is one.
    private func endTurn() {
        let next = state.withLock { state in
            state.wroteAt = .now
            if state.waiting.isEmpty {
                state.isWriting = false
                return CheckedContinuation<Void, Never>?.none
            }
            return state.waiting.removeFirst()
        }
        next?.resume()
    }
}
