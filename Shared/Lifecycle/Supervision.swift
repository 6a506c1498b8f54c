/// The state machine of a `ServiceGroup`: which services run, which one is being stopped, and why the group ends.
///
/// - `running`: all have been started and none has ended.
/// - `stopping(index)`: that one has been asked to stop and those after it have ended; those before still serve.
/// - `forced`: the deadline has passed and every task was cancelled.
///
/// The group is finished, in any phase, when no service runs any more.
struct Supervision {
    enum Input {
        case ended(Int, (any Error)?)
        case stopRequested
        case deadlinePassed
    }

    enum Action: Equatable {
        /// The group begins to stop: the deadline runs from here.
        case startDeadline
        case stop(Int)
        case cancelAll
    }

    private enum Phase: Equatable {
        case running
        case stopping(Int)
        case forced
    }

    private let names: [String]
    private var alive: Set<Int>
    private var phase = Phase.running
    /// Why the group did not end well: the first failure.
    private(set) var failure: (any Error)?

    init(names: [String]) {
        self.names = names
        alive = Set(names.indices)
    }

    var isFinished: Bool { alive.isEmpty }

    mutating func react(to input: Input) -> [Action] {
        switch input {
        case .ended(let index, let error): return ended(index, error)
        case .stopRequested: return phase == .running ? beginStopping() : []
        case .deadlinePassed:
            guard phase != .forced, !alive.isEmpty else { return [] }
            failure = failure ?? LifecycleError.drainTimedOut(services: alive.sorted().map { names[$0] })
            phase = .forced
            return [.cancelAll]
        }
    }

    private mutating func ended(_ index: Int, _ error: (any Error)?) -> [Action] {
        alive.remove(index)
        if let error, failure == nil, !(phase != .running && error is CancellationError) { failure = error }
        switch phase {
        case .running:
            failure = failure ?? LifecycleError.endedEarly(service: names[index])
            return beginStopping()
        case .stopping(let current):
            return index == current ? stopNext() : []
        case .forced:
            return []
        }
    }

    private mutating func beginStopping() -> [Action] {
        let next = stopNext()
        return next.isEmpty ? [] : [.startDeadline] + next
    }

    private mutating func stopNext() -> [Action] {
        guard let last = alive.max() else { return [] }
        phase = .stopping(last)
        return [.stop(last)]
    }
}
