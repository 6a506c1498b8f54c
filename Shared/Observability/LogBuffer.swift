import Buffers

/// The lines between the loggers and the one thread that writes them, as a value.
///
/// | writer | what is true |
/// |---|---|
/// | absent | no thread yet; the first line asks for one |
/// | waiting | the thread is asleep and `pending` is empty; a line must wake it |
/// | busy | the thread is writing or about to look again; a line need not wake it |
/// | closed | lines are no longer taken; `pending` is what is left to write |
struct LogBuffer {
    enum Writer {
        case absent, waiting, busy, closed
    }

    enum Action: Equatable {
        case nothing, startWriter, wakeWriter
    }

    let capacity: Int
    /// Beyond the capacity, for lines that others must not crowd out.
    let reserve: Int
    private(set) var pending: [UInt8] = []
    private(set) var dropped = 0
    private(set) var droppedUnreported = 0
    private(set) var writer: Writer = .absent

    init(capacity: Int) {
        self.capacity = capacity
        reserve = capacity / 4
    }

    /// Takes lines, or drops them when the buffer would grow over its capacity; for `important` ones, over that and the
    /// reserve.
    mutating func append(_ octets: borrowing OctetBuffer, lines: Int, important: Bool = false) -> Action {
        guard writer != .closed else { return .nothing }
        guard pending.count + octets.count <= capacity + (important ? reserve : 0) else {
            dropped += lines
            droppedUnreported += lines
            return .nothing
        }
        octets.append(to: &pending)
        switch writer {
        case .absent:
            writer = .busy
            return .startWriter
        case .waiting:
            writer = .busy
            return .wakeWriter
        case .busy, .closed:
            return .nothing
        }
    }

    enum Taken: Equatable {
        case lines(droppedBefore: Int), wait, stop
    }

    /// Exchanges the pending lines for an empty buffer, whose storage is used for the next ones.
    mutating func take(into empty: inout [UInt8]) -> Taken {
        if pending.isEmpty {
            if writer == .closed { return .stop }
            writer = .waiting
            return .wait
        }
        swap(&pending, &empty)
        let lost = droppedUnreported
        droppedUnreported = 0
        return .lines(droppedBefore: lost)
    }

    /// No thread could be started: the next line tries again.
    mutating func writerFailedToStart() {
        if writer == .busy { writer = .absent }
    }

    mutating func close() -> Action {
        let before = writer
        writer = .closed
        return before == .waiting ? .wakeWriter : .nothing
    }

    var isDrained: Bool {
        pending.isEmpty && writer != .busy
    }

    /// Empties a buffer that no thread writes.
    mutating func removeAll() -> [UInt8] {
        defer { pending.removeAll() }
        return pending
    }
}
