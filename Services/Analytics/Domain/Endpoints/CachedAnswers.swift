/// Values by key that take no more than so many bytes together: the one unused for longest leaves first. Each has a
/// time after which it is not given any more.
struct CachedAnswers<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Node {
        var key: Key
        var value: Value
        var bytes: Int
        var end: ContinuousClock.Instant
        /// Neighbours in the order of use; -1 at the ends.
        var newer: Int
        var older: Int
    }

    let capacity: Int
    /// What the values take now.
    private(set) var bytes = 0
    private var nodes: [Node?] = []
    private var free: [Int] = []
    private var places: [Key: Int] = [:]
    private var newest = -1
    private var oldest = -1

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { places.count }

    /// The value, which is then the one used last; nil when there is none, or its time is over.
    mutating func value(for key: Key, now: ContinuousClock.Instant) -> Value? {
        guard let place = places[key], let node = nodes[place] else { return nil }
        guard node.end > now else {
            remove(place)
            return nil
        }
        unlink(place)
        link(place)
        return node.value
    }

    /// Keeps a value in place of the key's earlier one; not at all if it is larger than the capacity.
    mutating func insert(_ value: Value, for key: Key, bytes size: Int, until end: ContinuousClock.Instant) {
        if let place = places[key] { remove(place) }
        guard size <= capacity else { return }
        while bytes + size > capacity, oldest >= 0 { remove(oldest) }
        let node = Node(key: key, value: value, bytes: size, end: end, newer: -1, older: -1)
        let place: Int
        if let last = free.popLast() {
            place = last
            nodes[place] = node
        } else {
            place = nodes.count
            nodes.append(node)
        }
        places[key] = place
        bytes += size
        link(place)
    }

    private mutating func remove(_ place: Int) {
        unlink(place)
        guard let node = nodes[place] else { return }
        places[node.key] = nil
        bytes -= node.bytes
        nodes[place] = nil
        free.append(place)
    }

    private mutating func link(_ place: Int) {
        nodes[place]?.older = newest
        nodes[place]?.newer = -1
        if newest >= 0 { nodes[newest]?.newer = place } else { oldest = place }
        newest = place
    }

    private mutating func unlink(_ place: Int) {
        guard let node = nodes[place] else { return }
        if node.newer >= 0 { nodes[node.newer]?.older = node.older } else { newest = node.older }
        if node.older >= 0 { nodes[node.older]?.newer = node.newer } else { oldest = node.newer }
    }
}
