import Buffers

/// Lines of one thread on their way to the sink, handed over together: for what is logged thousands of times a second,
/// so that threads do not wait for each other at every line.
public struct LogLines: ~Copyable {
    private let logger: Logger
    /// What stands in each line between its time and its own fields.
    private let lead: [UInt8]
    private var gathered = LogLine(capacity: 4096)
    private var count = 0
    /// The second that `time` shows.
    private var second = Int64.min
    /// The time as far as the point before its fraction.
    private var time: [UInt8] = []

    /// Octets that are handed over before there are more.
    private static let limit = 32 * 1024

    /// Lines of level info, all with the same message.
    public init(_ logger: Logger, _ message: StaticString) {
        self.logger = logger
        lead = logger.lead(.info, message)
    }

    /// A line whose fields `fields` appends as they are written.
    public mutating func append(_ fields: (inout LogLine) -> Void) {
        guard logger.writes(.info) else { return }
        let now = logger.now
        let (second, fraction) = floorDivide(now, 1_000_000)
        if second != self.second {
            self.second = second
            time = LogLine.time(microsecondsSince1970: now, upTo: 20)
        }
        gathered.begin(time, fraction, lead)
        fields(&gathered)
        gathered.append("}\n")
        count += 1
        if gathered.octets.count >= LogLines.limit { flush() }
    }

    /// Hands over what has been gathered.
    public mutating func flush() {
        guard count > 0 else { return }
        logger.sink.write(gathered.octets, lines: count)
        gathered.removeAll()
        count = 0
    }
}
