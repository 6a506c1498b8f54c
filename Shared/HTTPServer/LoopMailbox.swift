import EventLoop
import Synchronization

/// What other threads tell a server's part on one loop: connections handed over, and that the server drains.
final class LoopMailbox: Sendable {
    private struct State {
        var accepted: [Socket.Accepted] = []
        var isDraining = false
        /// The loop takes no more connections.
        var isClosed = false
        var listener: PolledDescriptor?
    }

    let index: Int
    private let loop: EventLoop
    private let state = Mutex(State())

    init(_ index: Int, _ loop: EventLoop) {
        self.index = index
        self.loop = loop
    }

    /// The loop listens: `listener` is what it waits on, and is woken for what is put here.
    func open(_ listener: PolledDescriptor) { state.withLock { $0.listener = listener } }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// False if the loop takes none any more; the connection stays the caller's.
    func put(_ accepted: Socket.Accepted) -> Bool {
        let isTaken = state.withLock { state in
            guard !state.isClosed else { return false }
            state.accepted.append(accepted)
            return true
        }
        if isTaken { wake() }
        return isTaken
    }

    func drain() {
        state.withLock { $0.isDraining = true }
        wake()
    }

    func take() -> [Socket.Accepted] {
        state.withLock { state in
            let taken = state.accepted
            state.accepted = []
            return taken
        }
    }

    /// Takes what is left; nothing can be put here from then on.
    func close() -> [Socket.Accepted] {
        state.withLock { state in
            state.isClosed = true
            state.listener = nil
            let taken = state.accepted
            state.accepted = []
            return taken
        }
    }

    private func wake() {
        loop.submit { [self] in
            state.withLock { $0.listener }?.wakeReader()
        }
    }
}
