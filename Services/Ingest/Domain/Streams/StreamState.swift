import Records

/// What one connection of a stream has received, and what of it is committed, as a value.
///
/// Numbers only grow, and `acknowledged` ≤ those being landed < those waiting ≤ `received`. One group is landed at a
/// time, since the next may only commit after it; what comes meanwhile is gathered for the next one, so that many
/// messages share a commit.
struct StreamState: Sendable {
    /// A message that came before its predecessor.
    struct Gap: Error, Equatable {
        let expected: Int64
        let received: Int64
    }

    /// What the one who lands is to do.
    enum Step: Sendable, Equatable {
        /// Nothing, until something changes.
        case wait
        /// Tell the client that all up to this one is committed.
        case acknowledge(Int64)
        /// Land this, then say `landed`.
        case land(StreamGroup)
        /// All that was received is committed, and nothing more will come.
        case end
    }

    /// Record bytes that are landed together; a larger message is landed alone.
    static let groupBytes = 1 << 20
    /// What a record and a message cost in memory besides their bytes.
    private static let recordCost = 4
    private static let messageCost = 64

    /// The highest number that is committed.
    private(set) var acknowledged: Int64
    /// The highest number that was received.
    private(set) var received: Int64
    /// Of messages that are received and not committed.
    private(set) var unacknowledgedBytes = 0
    private var waiting: [StreamGroup] = []
    private var landing: StreamGroup?
    private var owesAcknowledgement = true
    private var isOver = false

    /// - Parameter acknowledged: what the stream's row says. It is told to the client first.
    init(acknowledged: Int64) {
        self.acknowledged = acknowledged
        received = acknowledged
    }

    /// Takes in a message; one without a number is the next. One that was received before is dropped, and acknowledged
    /// again if it is committed. False then.
    @discardableResult
    mutating func accept(_ seq: Int64?, _ frame: BatchFrame) throws(Gap) -> Bool {
        let seq = seq ?? received + 1
        if seq <= received {
            if seq <= acknowledged { owesAcknowledgement = true }
            return false
        }
        guard seq == received + 1 else { throw Gap(expected: received + 1, received: seq) }
        received = seq
        let bytes = frame.bytes.count + frame.recordCount * Self.recordCost + Self.messageCost
        unacknowledgedBytes += bytes
        add(StreamGroup(first: seq, last: seq, frame: frame, bytes: bytes))
        return true
    }

    private mutating func add(_ message: StreamGroup) {
        let place = waiting.count - 1
        guard place >= 0, waiting[place].frame.format == message.frame.format,
            waiting[place].frame.bytes.count + message.frame.bytes.count <= Self.groupBytes,
            (try? waiting[place].frame.append(message.frame)) != nil
        else { return waiting.append(message) }
        waiting[place].last = message.last
        waiting[place].bytes += message.bytes
    }

    /// The client will send nothing more.
    mutating func end() { isOver = true }

    /// Whether `next` would give anything but `wait`.
    var hasWork: Bool { owesAcknowledgement || landing == nil && (isOver || !waiting.isEmpty) }

    mutating func next() -> Step {
        if owesAcknowledgement {
            owesAcknowledgement = false
            return .acknowledge(acknowledged)
        }
        if landing != nil { return .wait }
        guard !waiting.isEmpty else { return isOver ? .end : .wait }
        let group = waiting.removeFirst()
        landing = group
        return .land(group)
    }

    /// The group that was to be landed is committed.
    mutating func landed() {
        guard let landing else { return }
        acknowledged = landing.last
        unacknowledgedBytes -= landing.bytes
        owesAcknowledgement = true
        self.landing = nil
    }
}
