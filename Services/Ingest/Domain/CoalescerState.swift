/// Group commit's decisions, as a value: which requests go into which batch, and when it is committed.
///
/// One lane per (source, format, header). What is true in a lane's states:
/// - **absent**: nothing waits, nothing is being committed;
/// - **lingering**: requests wait, the lane's timer runs, no commit is under way;
/// - **committing**: `inFlight` ≥ 1 commits are under way; requests that come meanwhile wait for the next one.
///
/// A batch takes the waiting requests in order of arrival until the next would pass `limits.bytes`; so a request is in
/// exactly one batch, whole. A lone request after quiet is committed at once: lingering starts only when the lane's
/// last batch held several requests, which is what load looks like.
struct CoalescerState<Key: Hashable & Sendable, Part: Sendable>: Sendable {
    struct Limits: Sendable {
        /// Record bytes of one batch; a single larger part makes a batch of its own.
        var bytes = 1 << 20
        /// Requests of one batch.
        var parts = 4_096
        /// Commits of one lane that may be under way together.
        var inFlight = 2
        /// Bytes waiting in all lanes; past it a request is refused.
        var waitingBytes = 32 << 20
    }

    enum Action: Sendable {
        case none
        /// Refuse the request: too much waits.
        case refuse
        /// Call `lingered` for the lane after the linger time.
        case linger(Key)
        /// Commit these together, then call `committed`.
        case commit(Key, [Part])
    }

    private struct Lane: Sendable {
        var waiting: [(part: Part, bytes: Int)] = []
        var waitingBytes = 0
        var inFlight = 0
        var lingering = false
        var lastCount = 0
    }

    private let limits: Limits
    private var lanes: [Key: Lane] = [:]
    private(set) var waitingBytes = 0

    init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Lanes that hold or commit anything.
    var activeLanes: Int { lanes.count }

    mutating func add(_ part: Part, bytes: Int, to key: Key) -> Action {
        guard waitingBytes + bytes <= limits.waitingBytes else { return .refuse }
        waitingBytes += bytes
        lanes[key, default: Lane()].waiting.append((part, bytes))
        lanes[key, default: Lane()].waitingBytes += bytes
        return next(key)
    }

    /// The linger time of a lane is over.
    mutating func lingered(_ key: Key) -> Action {
        guard lanes[key]?.lingering == true else { return .none }
        lanes[key]?.lingering = false
        return take(key)
    }

    /// One commit of a lane has ended, well or not.
    mutating func committed(_ key: Key) -> Action {
        lanes[key]?.inFlight -= 1
        guard let lane = lanes[key] else { return .none }
        if lane.waiting.isEmpty {
            // Forgotten after a quiet commit, so that idle sources cost nothing. After a busy one it is kept: the next
            // request lingers for its neighbours instead of being committed alone.
            if lane.inFlight == 0 && lane.lastCount <= 1 { lanes[key] = nil }
            return .none
        }
        return next(key)
    }

    private mutating func next(_ key: Key) -> Action {
        guard let lane = lanes[key], !lane.waiting.isEmpty else { return .none }
        let full = lane.waitingBytes >= limits.bytes || lane.waiting.count >= limits.parts
        if full && lane.inFlight < limits.inFlight {
            lanes[key]?.lingering = false
            return take(key)
        }
        guard lane.inFlight == 0, !lane.lingering else { return .none }
        if lane.lastCount > 1 {
            lanes[key]?.lingering = true
            return .linger(key)
        }
        return take(key)
    }

    private mutating func take(_ key: Key) -> Action {
        guard var lane = lanes[key], !lane.waiting.isEmpty else { return .none }
        var count = 0
        var bytes = 0
        while count < lane.waiting.count, count < limits.parts {
            let size = lane.waiting[count].bytes
            if count > 0 && bytes + size > limits.bytes { break }
            bytes += size
            count += 1
        }
        let parts = lane.waiting.prefix(count).map(\.part)
        lane.waiting.removeFirst(count)
        lane.waitingBytes -= bytes
        lane.inFlight += 1
        lane.lastCount = count
        waitingBytes -= bytes
        lanes[key] = lane
        return .commit(key, parts)
    }
}
