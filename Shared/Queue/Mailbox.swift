import Synchronization

/// What others tell the fetcher: it is the only one to take it out.
final class Mailbox: Sendable {
    struct Letter {
        var isNotified = false
        var endedGroups = 0
        var isPauseAsked = false
        /// Jobs that were cancelled while they ran.
        var cancelled: [Int64] = []
    }

    private let letter = Mutex(Letter())
    private let signal = WakeSignal()

    /// There may be jobs to claim.
    func notified() {
        letter.withLock { $0.isNotified = true }
        signal.raise()
    }

    /// A group of jobs has been handled.
    func groupEnded() {
        letter.withLock { $0.endedGroups += 1 }
        signal.raise()
    }

    /// What another process tells the workers of the queue.
    func received(_ message: QueueMessage) {
        letter.withLock { letter in
            switch message {
            case .jobs: letter.isNotified = true
            case .paused: letter.isPauseAsked = true
            case .cancelled(let job): letter.cancelled.append(job)
            }
        }
        signal.raise()
    }

    /// Something outside has changed: a shutdown, a lost worker.
    func wake() {
        signal.raise()
    }

    func take() -> Letter {
        letter.withLock { letter in
            defer { letter = Letter() }
            return letter
        }
    }

    /// Until something is told, or the instant.
    func wait(until instant: ContinuousClock.Instant?) async {
        await signal.wait(until: instant)
    }
}
