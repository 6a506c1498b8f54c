/// The newest events of a rollup, as many as there is room for.
struct EventRing: Sendable {
    /// What a listener finds that has seen all events up to one.
    enum Next: Sendable, Equatable {
        case events([RollupEvent])
        /// There are none after it.
        case nothing
        /// The one after it is not here any more.
        case missed
    }

    static let maximumCount = 256
    static let maximumBytes = 4 << 20

    /// The newest event that is known, whether or not it is here.
    private(set) var last: Int64
    private var events: [RollupEvent] = []
    private(set) var byteCount = 0

    /// - Parameter last: The newest event that is not told.
    init(after last: Int64) {
        self.last = last
    }

    /// Adds the event after `last`, or one before which some are missing. The oldest make room.
    mutating func append(_ event: RollupEvent) {
        if event.id != last + 1 {
            events = []
            byteCount = 0
        }
        last = event.id
        events.append(event)
        byteCount += event.byteCount
        var dropped = 0
        while events.count - dropped > Self.maximumCount || byteCount > Self.maximumBytes, dropped < events.count {
            byteCount -= events[dropped].byteCount
            dropped += 1
        }
        events.removeFirst(dropped)
    }

    func next(after id: Int64) -> Next {
        if id >= last { return .nothing }
        guard let first = events.first, id >= first.id - 1 else { return .missed }
        return .events(Array(events[Int(id - first.id + 1)...]))
    }
}
