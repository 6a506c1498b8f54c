/// A job to be enqueued.
///
/// Limits: `arguments` is JSON in UTF-8 of at most 64 KiB (data travels by reference), `priority` is -2 (last) to 2
/// (first), `maxAttempts` 1 to 1000. `kind` names what is to be done: `^[a-z][a-z0-9_.]{0,62}$`. `trace` is a W3C
/// traceparent. A nil or negative `delay` means at once. Keys are at most 255 bytes of text without NUL.
public struct JobRequest: Sendable {
    public static let maximumArguments = 64 * 1024
    public static let priorities: ClosedRange<Int16> = -2...2
    public static let maximumItems: Int32 = 100_000_000
    public static let maximumParents = 1_000

    public var queue: String
    public var kind: String
    public var arguments: [UInt8]
    public var workspace: Int64
    public var priority: Int16
    public var delay: Duration?
    public var maxAttempts: Int16
    public var trace: String?
    /// Makes it a job array of so many items (1 to 100,000,000): one row, claimed and settled slice by slice.
    public var items: Int32?
    /// The most items of a slice; nil: as many as a claim takes.
    public var slice: Int32?
    /// Jobs that are enqueued later may wait for it. Those that others of the same call wait for are so anyway.
    public var isJoinable = false
    /// `rule` or `rule:anything`, by a rule of its queue (`QueueLimits`): at its limit the job waits, and nobody waits
    /// behind it. Not for arrays.
    public var limitKey: String?
    public var unique: UniqueKey?
    /// The jobs that have to succeed before this one is ready. Its delay counts from then.
    public var after: [Parent] = []
    /// Runs even if one of them dies or is cancelled. Otherwise it waits for a dead one to be redriven, and is cancelled
    /// with a cancelled one.
    public var runsAnyway = false

    /// A job to wait for.
    public enum Parent: Hashable, Sendable {
        /// One that was enqueued as joinable.
        case job(Int64)
        /// One of the same call, by its index there, which is smaller than the own one.
        case request(Int)
    }

    /// Of jobs of a queue with the same key one at most is there, until the given moment.
    public struct UniqueKey: Hashable, Sendable {
        public enum Until: Hashable, Sendable {
            /// Until its first attempt starts: what is enqueued from then on may see what that attempt did not.
            case started
            /// Until it has succeeded, died or been cancelled.
            case finished
            /// For so long after it was enqueued, whatever becomes of it.
            case time(Duration)
        }

        public var key: String
        public var until: Until

        public init(_ key: String, until: Until = .finished) {
            self.key = key
            self.until = until
        }
    }

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
        if let items, !(1...Self.maximumItems).contains(items) {
            throw fault("\(items) items are not 1 to \(Self.maximumItems)")
        }
        if let slice, slice < 1 || items == nil { throw fault("a slice of \(slice) items is of no array, or empty") }
        for key in [limitKey, unique?.key] {
            guard let key else { continue }
            if key.isEmpty || key.utf8.count > 255 || key.utf8.contains(0) {
                throw fault("a key is not 1 to 255 bytes of text")
            }
        }
        if limitKey != nil, items != nil { throw fault("an array has no limit key") }
        if case .time(let time) = unique?.until, time <= .zero { throw fault("a key is unique for no time") }
        if after.count > Self.maximumParents {
            throw fault("\(after.count) jobs to wait for exceed \(Self.maximumParents)")
        }
    }

    /// Whether it asks for more than the plain statement gives.
    var isPlain: Bool {
        items == nil && !isJoinable && limitKey == nil && unique == nil && after.isEmpty
    }

    private func fault(_ message: String) -> QueueError {
        QueueError(.invalidRequest, "\(kind): \(message)", doing: "enqueue")
    }
}
