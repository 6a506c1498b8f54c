/// Which requests may be under way: so many in all, so many to one origin, and so many that wait in turn.
///
/// - `ahead`: the client does not run yet; requests wait.
/// - `open`: requests get a place, or wait for one.
/// - `closed`: none gets a place any more. Nothing leaves this phase.
///
/// A request that waits for its origin lets later ones to other origins pass.
struct TransferSlots {
    enum Phase { case ahead, open, closed }

    enum Decision: Equatable {
        case granted
        /// Wait to be told; then `claim`.
        case wait(Int)
        case overloaded
        case closed
    }

    private struct Waiting {
        let id: Int
        let origin: String
    }

    private let total: Int
    private let perOrigin: Int
    private let maximumWaiting: Int
    private(set) var phase = Phase.ahead
    private(set) var inUse = 0
    private var inUseByOrigin: [String: Int] = [:]
    private var waiting: [Waiting] = []
    /// Places given to requests that waited and have not been told yet.
    private var granted: [Int: String] = [:]
    private var nextID = 0

    init(total: Int, perOrigin: Int, waiting: Int) {
        self.total = max(1, total)
        self.perOrigin = max(1, perOrigin)
        maximumWaiting = waiting
    }

    mutating func request(_ origin: String) -> Decision {
        if phase == .closed { return .closed }
        if phase == .open, mayStart(origin) {
            occupy(origin)
            return .granted
        }
        guard waiting.count < maximumWaiting else { return .overloaded }
        nextID += 1
        waiting.append(Waiting(id: nextID, origin: origin))
        return .wait(nextID)
    }

    /// Whether a request that was told has a place now.
    mutating func claim(_ id: Int) -> Bool { granted.removeValue(forKey: id) != nil }

    /// A request waits no longer; a place that it was given meanwhile goes on to those returned.
    mutating func giveUp(_ id: Int) -> [Int] {
        waiting.removeAll { $0.id == id }
        guard let origin = granted.removeValue(forKey: id) else { return [] }
        return release(origin)
    }

    /// A request is over. Returns those to tell that they have a place now.
    mutating func release(_ origin: String) -> [Int] {
        inUse -= 1
        let left = (inUseByOrigin[origin] ?? 1) - 1
        inUseByOrigin[origin] = left == 0 ? nil : left
        return grant()
    }

    /// The client runs. Returns those to tell that they have a place now.
    mutating func open() -> [Int] {
        if phase == .ahead { phase = .open }
        return grant()
    }

    /// Returns those to tell that they get none.
    mutating func close() -> [Int] {
        phase = .closed
        defer { waiting = [] }
        return waiting.map(\.id)
    }

    private func mayStart(_ origin: String) -> Bool {
        inUse < total && inUseByOrigin[origin, default: 0] < perOrigin
    }

    private mutating func occupy(_ origin: String) {
        inUse += 1
        inUseByOrigin[origin, default: 0] += 1
    }

    private mutating func grant() -> [Int] {
        guard phase == .open, inUse < total else { return [] }
        var told: [Int] = []
        var left: [Waiting] = []
        for request in waiting {
            if mayStart(request.origin) {
                occupy(request.origin)
                granted[request.id] = request.origin
                told.append(request.id)
            } else {
                left.append(request)
            }
        }
        waiting = left
        return told
    }
}
