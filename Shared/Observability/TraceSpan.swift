/// The number that a span has in its trace.
public struct SpanID: Sendable, Hashable, CustomStringConvertible {
    let number: UInt64

    /// Sixteen hexadecimal digits.
    public var description: String { UniqueNumber.text(of: number) }
}

/// Something that was done for a trace, with its beginning and its end.
public struct TraceSpan: Sendable {
    /// Whose side of a call it is, as OpenTelemetry tells them apart.
    public enum Kind: Sendable, Hashable {
        case `internal`, server, producer, consumer
    }

    public enum Status: Sendable, Hashable {
        /// It did what it was to do, or says nothing of it.
        case unset
        /// A short, stable reason.
        case failed(String)
    }

    /// Values longer than this are cut, in UTF-8 octets.
    public static let maximumValue = 256
    /// Links beyond these are left out.
    public static let maximumLinks = 128

    public var name: String
    public var kind: Kind
    /// Its place in the trace.
    public var context: TraceContext
    /// What it was done for; nil where the trace begins.
    public var parent: SpanID?
    /// Nanoseconds since 1970.
    public var start: Int64
    public var end: Int64
    public var attributes: [(key: String, value: LogValue)]
    /// Places in other traces that it was done for too.
    public var links: [TraceContext] = []
    public var status = Status.unset

    /// A span that begins at `start` and has not ended yet.
    public init(
        _ name: String, _ kind: Kind, _ context: TraceContext, parent: SpanID?, start: Int64,
        attributes: [(key: String, value: LogValue)] = []
    ) {
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.start = start
        end = start
        self.attributes = attributes
    }
}
