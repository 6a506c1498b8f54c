/// A job to be enqueued.
///
/// Limits: `arguments` is JSON in UTF-8 of at most 64 KiB (data travels by reference), `priority` is -2 (last) to 2
/// (first), `maxAttempts` 1 to 1000. `kind` names what is to be done: `^[a-z][a-z0-9_.]{0,62}$`. `trace` is a W3C
/// traceparent. A nil or negative `delay` means at once.
public struct JobRequest: Sendable {
    public static let maximumArguments = 64 * 1024
    public static let priorities: ClosedRange<Int16> = -2...2

    public var queue: String
    public var kind: String
    public var arguments: [UInt8]
    public var workspace: Int64
    public var priority: Int16
    public var delay: Duration?
    public var maxAttempts: Int16
    public var trace: String?

    public init(
        queue: String, kind: String, arguments: [UInt8], workspace: Int64, priority: Int16 = 0,
        delay: Duration? = nil, maxAttempts: Int16 = 20, trace: String? = nil
    ) {
        self.queue = queue
        self.kind = kind
        self.arguments = arguments
        self.workspace = workspace
        self.priority = priority
        self.delay = delay
        self.maxAttempts = maxAttempts
        self.trace = trace
    }

    /// Errors: `.invalidRequest`, what the database would refuse.
    public func validate() throws(QueueError) {
        if arguments.count > Self.maximumArguments {
            throw fault("arguments of \(arguments.count) bytes exceed \(Self.maximumArguments)")
        }
        if !Self.priorities.contains(priority) { throw fault("priority \(priority) is not -2 to 2") }
        if !(1...1000).contains(maxAttempts) { throw fault("maxAttempts \(maxAttempts) is not 1 to 1000") }
        if let trace, trace.utf8.count > 128 { throw fault("the trace is longer than 128 bytes") }
    }

    private func fault(_ message: String) -> QueueError {
        QueueError(.invalidRequest, "\(kind): \(message)", doing: "enqueue")
    }
}
