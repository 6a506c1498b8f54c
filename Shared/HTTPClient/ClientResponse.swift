import EventLoop
public import HTTP

/// An answer whose head has come and whose body is coming. It is good for as long as the closure it was given to runs.
public struct ClientResponse: Sendable {
    public let status: HTTPStatus
    public let headers: HTTPHeaders
    public let body: ClientResponseBody
}

/// The body of an answer: pieces as they come. Nothing more is read from the server while 64 KiB wait here. It can be
/// read once, by one task at a time.
public struct ClientResponseBody: Sendable, AsyncSequence {
    public typealias Element = [UInt8]

    private let transfer: LoopBound<Transfer>
    private let doing: String

    init(_ transfer: LoopBound<Transfer>, doing: String) {
        self.transfer = transfer
        self.doing = doing
    }

    /// The next piece, never empty; nil after the last. Errors: `.tooLarge`, `.timedOut`, `.connectionLost`, … and
    /// `.closed` when the answer's time is over.
    public func next() async throws(HTTPClientError) -> [UInt8]? {
        let transfer = transfer
        do throws(HTTPClientError) {
            return try await transfer.loop.perform { () async throws(HTTPClientError) in
                try await transfer.value.next()
            }
        } catch {
            throw error.during(doing)
        }
    }

    /// All octets; the request's limit for bodies holds.
    public func collect() async throws(HTTPClientError) -> [UInt8] {
        var all: [UInt8] = []
        while let piece = try await next() { all.append(contentsOf: piece) }
        return all
    }

    /// Goes through the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        fileprivate let body: ClientResponseBody

        public mutating func next() async throws(HTTPClientError) -> [UInt8]? { try await body.next() }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(HTTPClientError) -> [UInt8]? {
            try await body.next()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: self) }
}

/// An answer with all of its body.
public struct CollectedResponse: Sendable, Hashable {
    public let status: HTTPStatus
    public let headers: HTTPHeaders
    public let body: [UInt8]
}
