/// Group commit's decisions, as a value: which requests go into which batch, and when it is committed.
///
/// One lane per (source, format, header). What is true in a lane's states:
/// - **absent**: nothing waits, nothing is being committed;
/// - **lingering**: requests wait, the lane's timer runs, no commit is under way;
/// - **committing**: `inFlight` ≥ 1 commits are under way; requests that come meanwhile wait for the next one.
///
/// A batch takes the waiting requests in order of arrival until the next would pass its pace's bytes; so a request is
/// in exactly one batch, whole. A lone request after quiet is committed at once: lingering starts only when the lane's
/// last batch held several requests, which is what load looks like. It ends early once as many wait as the lane has
/// lately had under way at all: clients that wait for their answers before they send again are then all here, and
/// waiting longer would gain nothing.
struct CoalescerState<Key: Hashable & Sendable, Part: Sendable>: Sendable {
    struct Limits: Sendable {
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
        /// Call `lingered` for the lane, with the ticket, after this time.
        case linger(Key, ticket: Int, time: Duration)
        /// Commit these together, then call `committed` with their number, before anyone hears of it.
        case commit(Key, [Part])
    }

    fileprivate struct Lane: Sendable {
        /// As the latest request has it.
        var pace: CoalescingPace
        var waiting: [(part: Part, bytes: Int)] = []
        var waitingBytes = 0
        /// Commits under way, and the requests in them.
        var inFlight = 0
        var committing = 0
        /// The ticket of the timer that runs.
        var lingering: Int?
        var lastCount = 0
        var crowd = Crowd()
    }

    private let limits: Limits
    private var lanes: [Key: Lane] = [:]
    private(set) var waitingBytes = 0
    private var tickets = 0

    init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Lanes that hold or commit anything.
    var activeLanes: Int { lanes.count }

    mutating func add(_ part: Part, bytes: Int, to key: Key, at pace: CoalescingPace) -> Action {
        guard waitingBytes + bytes <= limits.waitingBytes else { return .refuse }
        waitingBytes += bytes
        lanes[key, default: Lane(pace: pace)].add(part, bytes, pace)
        return next(key)
    }

    /// The linger time of a lane is over.
    mutating func lingered(_ key: Key, ticket: Int) -> Action {
        guard lanes[key]?.lingering == ticket else { return .none }
        return take(key)
    }

    /// One commit of a lane, of `count` requests, has ended, well or not.
    mutating func committed(_ key: Key, _ count: Int) -> Action {
        lanes[key]?.inFlight -= 1
        lanes[key]?.committing -= count
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
        let full = lane.waitingBytes >= lane.pace.bytes || lane.waiting.count >= limits.parts
        if full && lane.inFlight < limits.inFlight { return take(key) }
        guard lane.inFlight == 0 else { return .none }
        if lane.lastCount <= 1 || lane.waiting.count >= lane.crowd.size { return take(key) }
        if lane.pace.linger == .zero { return take(key) }
        if lane.lingering != nil { return .none }
        tickets += 1
        lanes[key]?.lingering = tickets
        return .linger(key, ticket: tickets, time: lane.pace.linger)
    }

    private mutating func take(_ key: Key) -> Action {
        guard let parts = lanes[key]?.take(limits) else { return .none }
        waitingBytes -= parts.bytes
        return .commit(key, parts.parts)
    }
}

extension CoalescerState.Lane {
    fileprivate mutating func add(_ part: Part, _ bytes: Int, _ pace: CoalescingPace) {
        self.pace = pace
        waiting.append((part, bytes))
        waitingBytes += bytes
        crowd.see(waiting.count + committing)
    }

    /// Takes the next batch out; nil where nothing waits.
    fileprivate mutating func take(_ limits: CoalescerState.Limits) -> (parts: [Part], bytes: Int)? {
        guard !waiting.isEmpty else { return nil }
        var count = 0
        var bytes = 0
        while count < waiting.count, count < limits.parts {
            let size = waiting[count].bytes
            if count > 0 && bytes + size > pace.bytes { break }
            bytes += size
            count += 1
        }
        let parts = waiting.prefix(count).map(\.part)
        waiting.removeFirst(count)
        waitingBytes -= bytes
        inFlight += 1
        committing += count
        lingering = nil
        lastCount = count
        crowd.countCommit()
        return (parts, bytes)
    }
}

/// The most requests that were under way at once, waiting or being committed, during the last commits.
private struct Crowd: Sendable {
    /// Commits after which an old peak is forgotten, at the latest after twice as many.
    static let window = 32
    private var peak = 0
    private var earlierPeak = 0
    private var commits = 0

    var size: Int { max(peak, earlierPeak) }

    mutating func see(_ count: Int) { peak = max(peak, count) }

    mutating func countCommit() {
        commits += 1
        guard commits == Self.window else { return }
        (earlierPeak, peak, commits) = (peak, 0, 0)
    }
}
