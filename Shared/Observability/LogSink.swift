import Buffers
import Synchronization

/// Where log lines go: a bounded buffer in memory, written to a descriptor by one thread.
///
/// A slow or stuck reader of the descriptor stalls nobody: when the buffer is full, lines are dropped and counted
/// in `droppedLines`. A fourth of it more is for the lines of ``Logger/important``. The thread starts with the first
/// line and sleeps without a timer while there is none; under load it writes at most every 5 ms, so that a line costs a
/// copy and no system call.
public final class LogSink: Sendable {
    private enum Destination {
        case descriptor(CInt), memory, nowhere
    }

    private let destination: Destination
    private let buffer: Mutex<LogBuffer>
    private let wakeUp = ThreadSemaphore()
    private static let pauseMicroseconds: UInt32 = 5000

    /// Lines for the process's standard error; what is left is written when the process exits.
    public static let standardError: LogSink = {
        let sink = LogSink(descriptor: 2)
        LogThread.atExit { LogSink.standardError.flush(within: .milliseconds(500)) }
        return sink
    }()

    /// Throws every line away.
    public static let discarding = LogSink(.nowhere, capacity: 0)

    /// Keeps lines until `takeText()`; for tests.
    public static func memory(capacity: Int = 1 << 20) -> LogSink {
        LogSink(.memory, capacity: capacity)
    }

    /// Writes to a descriptor that stays open for as long as the sink is; `capacity` is in bytes.
    public convenience init(descriptor: CInt, capacity: Int = 1 << 20) {
        self.init(.descriptor(descriptor), capacity: capacity)
    }

    private init(_ destination: Destination, capacity: Int) {
        self.destination = destination
        buffer = Mutex(LogBuffer(capacity: capacity))
    }

    var isOpen: Bool {
        if case .nowhere = destination { false } else { true }
    }

    /// How many lines were dropped since the start because the buffer was full.
    public var droppedLines: Int {
        buffer.withLock { $0.dropped }
    }

    /// Takes lines, each with its line feed. Never blocks on the descriptor.
    func write(_ octets: borrowing OctetBuffer, lines: Int, important: Bool = false) {
        switch buffer.withLock({ $0.append(octets, lines: lines, important: important) }) {
        case .nothing: break
        case .wakeWriter: wakeUp.signal()
        case .startWriter: startWriter()
        }
    }

    private func startWriter() {
        guard case .descriptor(let descriptor) = destination else { return }
        let started = LogThread.start { [self] in writeLines(to: descriptor) }
        if !started { buffer.withLock { $0.writerFailedToStart() } }
    }

    private func writeLines(to descriptor: CInt) {
        var lines: [UInt8] = []
        while true {
            switch buffer.withLock({ $0.take(into: &lines) }) {
            case .stop:
                return
            case .wait:
                wakeUp.wait()
            case .lines(let lost):
                if lost > 0 { LogThread.writeAll(Self.lossReport(lost), to: descriptor) }
                LogThread.writeAll(lines, to: descriptor)
                lines.removeAll(keepingCapacity: true)
                LogThread.pause(microseconds: Self.pauseMicroseconds)
            }
        }
    }

    private static func lossReport(_ count: Int) -> [UInt8] {
        var line = LogLine(capacity: 128)
        line.append(#"{"ts":""#)
        line.append(microsecondsSince1970: WallClock.microsecondsSince1970())
        line.append(#"","level":"warning","message":"log lines dropped""#)
        line.append(key: "log.dropped", .int(count))
        line.append("}\n")
        return line.bytes
    }

    /// Blocks the calling thread until everything is written or the time is over; not for an event loop.
    public func flush(within limit: Duration) {
        guard case .descriptor = destination else { return }
        let deadline = ContinuousClock.now + limit
        while !buffer.withLock({ $0.isDrained }), ContinuousClock.now < deadline {
            LogThread.pause(microseconds: 500)
        }
    }

    /// Takes no more lines; the thread writes what is left and ends.
    public func close() {
        if case .wakeWriter = buffer.withLock({ $0.close() }) { wakeUp.signal() }
    }

    /// The text written to a memory sink since the last call.
    public func takeText() -> String {
        String(decoding: buffer.withLock { $0.removeAll() }, as: UTF8.self)
    }
}
