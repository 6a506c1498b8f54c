/// Cuts a connection's bytes into requests: RFC 9112 as a value-type state machine, without I/O.
///
/// For each request it yields one `.head`, any number of `.body` pieces and one `.end`; a request without a body
/// yields `.end` right after its head. What it yields does not depend on how the bytes are split, but for the sizes
/// of body pieces; a fault is that of the first offending octet. After a fault the parser is not to be used again.
///
/// ```swift
/// while true {
///     switch try parser.next(in: buffer, at: &position, to: filled) {
///     case .needsInput: return                 // position == filled: the buffer may be refilled from its beginning
///     case .head(let head): …
///     case .body(let range): …                 // buffer[range], valid until the buffer is refilled
///     case .end: …                             // parser.trailers holds the trailers
///     }
/// }
/// ```
public struct RequestParser: Sendable {
    public enum Event: Sendable {
        /// All of the input is taken; more is needed.
        case needsInput
        case head(HTTPRequestHead)
        /// Octets of the body: a non-empty range of the buffer.
        case body(Range<Int>)
        /// The request is complete; the next octet begins another.
        case end
    }

    private enum State: Sendable {
        /// In a head, or between requests when nothing of one has come.
        case head
        /// In a body of known length, of which this many octets are missing.
        case length(Int)
        case chunked
        case trailers
        case ended
    }

    private let limits: RequestParserLimits
    private var state = State.head
    private var head: HeadReader
    private var chunks: ChunkReader
    private var trailerReader: HeadReader
    /// The trailer fields of the request that has just ended. They are never merged into its header fields.
    public private(set) var trailers = HTTPHeaders()

    public init(limits: RequestParserLimits = RequestParserLimits()) {
        self.limits = limits
        head = HeadReader(limits: limits)
        chunks = ChunkReader(extensionLimit: limits.chunkExtensions)
        trailerReader = HeadReader(limits: limits, forTrailers: true)
    }

    /// Whether no request has begun: where a connection may end without anything having been cut off.
    public var isBetweenRequests: Bool {
        if case .head = state { head.isUntouched } else { false }
    }

    /// Whether a head has begun and is not complete: what a header time limit is about.
    public var isInHead: Bool {
        if case .head = state { !head.isUntouched } else { false }
    }

    /// Takes octets of `buffer` from `position` on, up to `end`, and moves `position` past what it took.
    public mutating func next(in buffer: [UInt8], at position: inout Int, to end: Int) throws(RequestFault) -> Event {
        switch state {
        case .head:
            guard let parts = try head.read(buffer, &position, end) else { return .needsInput }
            let head = HTTPRequestHead(parts)
            begin(head)
            return .head(head)
        case .length(let missing):
            guard position < end else { return .needsInput }
            let piece = position..<(position + min(end - position, missing))
            position = piece.upperBound
            state = piece.count == missing ? .ended : .length(missing - piece.count)
            return .body(piece)
        case .chunked:
            switch try chunks.read(buffer, &position, end) {
            case .needsInput: return .needsInput
            case .data(let piece): return .body(piece)
            case .last:
                state = .trailers
                return try next(in: buffer, at: &position, to: end)
            }
        case .trailers:
            guard let fields = try trailerReader.readTrailers(buffer, &position, end) else { return .needsInput }
            trailers = fields
            state = .ended
            return try next(in: buffer, at: &position, to: end)
        case .ended:
            state = .head
            return .end
        }
    }

    private mutating func begin(_ head: HTTPRequestHead) {
        if !trailers.isEmpty { trailers = HTTPHeaders() }
        switch head.framing {
        case .none, .length(0): state = .ended
        case .length(let length): state = .length(length)
        case .chunked:
            chunks = ChunkReader(extensionLimit: limits.chunkExtensions)
            trailerReader = HeadReader(limits: limits, forTrailers: true)
            state = .chunked
        }
    }
}
