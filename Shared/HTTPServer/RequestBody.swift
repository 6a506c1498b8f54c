public import HTTP
import JSON

/// Where a body's octets come from piece by piece. Used by one task at a time.
public protocol RequestBodySource: AnyObject, Sendable {
    /// The next piece, never empty; nil after the last. Nothing is read from the client before it is asked for.
    ///
    /// Throws `incomplete_body` when the client went away, `request_timeout` when it was too slow,
    /// `payload_too_large` past the limit, and what the framing's faults say.
    nonisolated(nonsending) func next() async throws(Problem) -> [UInt8]?
}

/// A request's body: pieces as they come, with back-pressure, or all of it within a limit. It can be read once.
public struct RequestBody: Sendable, AsyncSequence {
    public typealias Element = [UInt8]

    fileprivate enum Storage: Sendable {
        case bytes([UInt8])
        case source(any RequestBodySource)
    }

    private let storage: Storage
    /// The length the client announced; nil for a chunked body.
    public let contentLength: Int?

    /// A body that is there as a whole.
    public init(_ bytes: [UInt8] = []) {
        storage = .bytes(bytes)
        contentLength = bytes.count
    }

    /// A body that is still coming.
    public init(_ source: any RequestBodySource, contentLength: Int?) {
        storage = .source(source)
        self.contentLength = contentLength
    }

    /// All octets; throws `payload_too_large` as soon as it is known that there are more than `limit`.
    public nonisolated(nonsending) func collect(limit: Int) async throws(Problem) -> [UInt8] {
        if let contentLength, contentLength > limit { throw RequestBody.tooLarge(limit) }
        switch storage {
        case .bytes(let bytes):
            return bytes
        case .source(let source):
            var all: [UInt8] = []
            if let contentLength { all.reserveCapacity(contentLength) }
            while let piece = try await source.next() {
                guard all.count + piece.count <= limit else { throw RequestBody.tooLarge(limit) }
                all.append(contentsOf: piece)
            }
            return all
        }
    }

    /// The same body, which fails once it has given more than `limit` octets.
    func limited(to limit: Int) -> RequestBody {
        guard case .source(let source) = storage else { return self }
        return RequestBody(LimitedBody(source, limit: limit), contentLength: contentLength)
    }

    /// The same body, of which `note` is told how many octets have come, piece by piece as they are asked for. Those of
    /// a body that is there as a whole have come. Where `note` throws, the piece is not given, and reading fails. It is
    /// kept for as long as the body may be read.
    public func counted(_ note: @escaping @Sendable (Int) throws(Problem) -> Void) throws(Problem) -> RequestBody {
        switch storage {
        case .source(let source): return RequestBody(CountedBody(source, note), contentLength: contentLength)
        case .bytes(let bytes):
            if !bytes.isEmpty { try note(bytes.count) }
            return self
        }
    }

    public static func tooLarge(_ limit: Int) -> Problem {
        Problem(.payloadTooLarge, "the body is larger than \(limit) octets", extensions: [("limit", .number(limit))])
    }

    /// Goes through the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        private var storage: Storage

        fileprivate init(_ storage: Storage) {
            self.storage = storage
        }

        public nonisolated(nonsending) mutating func next() async throws(Problem) -> [UInt8]? {
            switch storage {
            case .source(let source):
                return try await source.next()
            case .bytes(let bytes):
                storage = .bytes([])
                return bytes.isEmpty ? nil : bytes
            }
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(Problem) -> [UInt8]? {
            try await next()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(storage)
    }
}
