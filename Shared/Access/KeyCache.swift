/// What was found out about keys lately, as a value: bounded, and never older than `lifetime`.
///
/// An entry is in one of three states by its age:
///
/// | age | a request that asks |
/// |---|---|
/// | under 4/5 of the lifetime | uses it |
/// | up to the lifetime | uses it, but the first one is sent to look the key up again |
/// | past it | looks the key up |
///
/// So a busy key is looked up by one request at a time, and a revoked one works for `lifetime` at most. Keys that do
/// not exist have a space of their own: trying many of them does not push the good ones out.
struct KeyCache: Sendable {
    enum Answer: Sendable, Equatable {
        case known(Principal)
        case refused
        /// Look the key up; while that cannot be done, this is still true.
        case refresh(Principal)
        case lookUp
    }

    fileprivate struct Entry {
        let principal: Principal?
        let expires: ContinuousClock.Instant
        var refreshing = false
    }

    fileprivate struct Space {
        var entries: [KeyHash: Entry] = [:]
        /// Oldest first; a hash may stand here again after its entry was replaced.
        var order: [(hash: KeyHash, expires: ContinuousClock.Instant)] = []
        var first = 0
    }

    static let lifetime = Duration.seconds(10)

    private let lifetime: Duration
    private let capacity: Int
    private var present = Space()
    private var absent = Space()

    /// `capacity` bounds the keys of each kind.
    init(lifetime: Duration = Self.lifetime, capacity: Int = 4096) {
        self.lifetime = lifetime
        self.capacity = capacity
    }

    var count: Int { present.entries.count + absent.entries.count }

    /// How long the lists behind the entries are; for tests of the bound.
    var orderLength: Int { present.order.count + absent.order.count }

    mutating func answer(for hash: KeyHash, now: ContinuousClock.Instant) -> Answer {
        let answer = peek(for: hash, now: now)
        if case .refresh = answer { present.entries[hash]?.refreshing = true }
        return answer
    }

    /// The answer, without this request being taken for the one that looks the key up again.
    func peek(for hash: KeyHash, now: ContinuousClock.Instant) -> Answer {
        if let entry = absent.entries[hash], entry.expires > now { return .refused }
        guard let entry = present.entries[hash], entry.expires > now, let principal = entry.principal else {
            return .lookUp
        }
        let isDue = !entry.refreshing && entry.expires - now < lifetime / 5
        return isDue ? .refresh(principal) : .known(principal)
    }

    /// Notes what a lookup begun at `started` has found. `validFor` is how long the key itself is still valid.
    mutating func store(
        _ principal: Principal?, validFor: Duration?, for hash: KeyHash, started: ContinuousClock.Instant
    ) {
        let expires = started + min(lifetime, validFor ?? lifetime)
        let entry = Entry(principal: principal, expires: expires)
        if principal == nil {
            present.entries[hash] = nil
            absent.insert(entry, for: hash, capacity: capacity, now: started)
        } else {
            absent.entries[hash] = nil
            present.insert(entry, for: hash, capacity: capacity, now: started)
        }
    }
}

extension KeyCache.Space {
    fileprivate mutating func insert(
        _ entry: KeyCache.Entry, for hash: KeyHash, capacity: Int, now: ContinuousClock.Instant
    ) {
        entries[hash] = entry
        order.append((hash, entry.expires))
        while let oldest = order.indices.contains(first) ? order[first] : nil,
            oldest.expires <= now || entries.count > capacity || order.count - first > 2 * capacity
        {
            if entries[oldest.hash]?.expires == oldest.expires { entries[oldest.hash] = nil }
            first += 1
        }
        if first > capacity {
            order.removeFirst(first)
            first = 0
        }
    }
}
