/// Writes structured log lines: one JSON object a line with `ts`, `level`, `service`, `message` and metadata.
///
/// The message is constant, so that lines can be grouped by it; what varies is metadata under dotted keys
/// (`batch.id`). Writing never waits: a line goes into the sink's bounded buffer or is dropped and counted.
public struct Logger: Sendable {
    /// What is the same in every line, written once.
    private final class Frame: Sendable {
        /// What stands between the time and the message, by level.
        let leads: [[UInt8]]
        let level: LogLevel
        let sink: LogSink
        let clock: @Sendable () -> Int64

        init(service: String, level: LogLevel, sink: LogSink, clock: @escaping @Sendable () -> Int64) {
            leads = LogLevel.allCases.map { level in
                var lead = LogLine(capacity: 96)
                lead.append(#"Z","level":"#, level.rawValue)
                lead.append(#","service":"#, service)
                lead.append(#","message":"#)
                return lead.bytes
            }
            self.level = level
            self.sink = sink
            self.clock = clock
        }
    }

    private let frame: Frame
    private let context: [UInt8]
    private let isImportant: Bool

    public init(service: String, level: LogLevel, sink: LogSink = .standardError) {
        self.init(service: service, level: level, sink: sink, clock: WallClock.microsecondsSince1970)
    }

    /// `clock` gives microseconds since 1970, so that a test has a time of its own.
    init(service: String, level: LogLevel, sink: LogSink, clock: @escaping @Sendable () -> Int64) {
        frame = Frame(service: service, level: level, sink: sink, clock: clock)
        context = []
        isImportant = false
    }

    private init(frame: Frame, context: [UInt8], isImportant: Bool) {
        self.frame = frame
        self.context = context
        self.isImportant = isImportant
    }

    /// The same logger, for whose lines the sink keeps some room that others never fill.
    public var important: Logger { Logger(frame: frame, context: context, isImportant: true) }

    /// A logger that writes nothing.
    public static var silent: Logger {
        Logger(service: "", level: .error, sink: .discarding)
    }

    /// Where the lines go; its counter of dropped lines belongs into the metrics.
    public var sink: LogSink { frame.sink }

    public var level: LogLevel { frame.level }

    /// Whether lines of this level are written; saves the work of computing their metadata.
    public func writes(_ level: LogLevel) -> Bool {
        level >= frame.level
    }

    /// A logger that adds these fields to every line; they are encoded here, once.
    public func with(_ fields: KeyValuePairs<String, LogValue>) -> Logger {
        var line = LogLine(capacity: context.count + 64)
        line.append(context)
        for (key, value) in fields { line.append(key: key, value) }
        return Logger(frame: frame, context: line.bytes, isImportant: isImportant)
    }

    public func debug(_ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        if writes(.debug) { write(.debug, message, fields()) }
    }

    public func info(_ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        if writes(.info) { write(.info, message, fields()) }
    }

    public func warning(_ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        if writes(.warning) { write(.warning, message, fields()) }
    }

    public func error(_ message: StaticString, _ fields: @autoclosure () -> KeyValuePairs<String, LogValue> = [:]) {
        if writes(.error) { write(.error, message, fields()) }
    }

    private func write(_ level: LogLevel, _ message: StaticString, _ fields: KeyValuePairs<String, LogValue>) {
        guard frame.sink.isOpen else { return }
        var line = LogLine(capacity: 192 + context.count + 24 * fields.count)
        let (second, fraction) = floorDivide(now, 1_000_000)
        let time = LogLine.time(microsecondsSince1970: second * 1_000_000, upTo: 20)
        line.begin(time, fraction, lead(level, message))
        for (key, value) in fields { line.append(key: key, value) }
        line.append("}\n")
        frame.sink.write(line.octets, lines: 1, important: isImportant)
    }

    /// Microseconds since 1970.
    var now: Int64 { frame.clock() }

    /// What stands between a line's time and its own fields.
    func lead(_ level: LogLevel, _ message: StaticString) -> [UInt8] {
        var lead = LogLine(capacity: 128 + context.count)
        lead.append(frame.leads[level.rank])
        lead.append(quoted: message.description)
        lead.append(context)
        return lead.bytes
    }
}
