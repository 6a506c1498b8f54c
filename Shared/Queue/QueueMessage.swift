/// What is said of a queue on `Wakeup.channel`, all of it hints: whoever misses one finds out by the database.
enum QueueMessage: Sendable, Hashable {
    /// There are jobs to claim.
    case jobs
    /// The queue was paused: what was claimed and not started is to be given back.
    case paused
    /// A job that was running cannot commit any more.
    case cancelled(Int64)

    /// Nil for a message of another queue, or one that this version does not know.
    init?(_ payload: String, queue: String) {
        if payload == queue {
            self = .jobs
            return
        }
        guard payload.hasPrefix(queue + " ") else { return nil }
        let words = payload.dropFirst(queue.count + 1).split(separator: " ")
        switch (words.first, words.count) {
        case ("pause", 1): self = .paused
        case ("cancel", 2):
            guard let job = Int64(words[1]) else { return nil }
            self = .cancelled(job)
        default: return nil
        }
    }

    func payload(queue: String) -> String {
        switch self {
        case .jobs: queue
        case .paused: "\(queue) pause"
        case .cancelled(let job): "\(queue) cancel \(job)"
        }
    }
}
