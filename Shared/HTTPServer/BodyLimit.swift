import HTTP
import Synchronization

/// Holds a body to its route's limit: an announced length is refused before a handler runs, a chunked body as soon as
/// it grows past it.
struct BodyLimit: Sendable {
    private let limit: Int

    init(_ limit: Int) {
        self.limit = limit
    }

    func apply(to request: inout Request) throws(Problem) {
        let limit = request.route?.bodyLimit ?? limit
        if let length = request.body.contentLength {
            guard length <= limit else { throw RequestBody.tooLarge(limit) }
        } else {
            request.body = request.body.limited(to: limit)
        }
    }
}

/// Counts the octets of a body that announces no length.
final class LimitedBody: RequestBodySource {
    private let source: any RequestBodySource
    private let limit: Int
    private let seen = Mutex(0)

    init(_ source: any RequestBodySource, limit: Int) {
        self.source = source
        self.limit = limit
    }

    nonisolated(nonsending) func next() async throws(Problem) -> [UInt8]? {
        guard let piece = try await source.next() else { return nil }
        let total = seen.withLock { seen in
            seen += piece.count
            return seen
        }
        guard total <= limit else { throw RequestBody.tooLarge(limit) }
        return piece
    }
}

/// Tells how many octets of a body have come, and ends where that is too much for whoever is told.
final class CountedBody: RequestBodySource {
    private let source: any RequestBodySource
    private let note: @Sendable (Int) throws(Problem) -> Void

    init(_ source: any RequestBodySource, _ note: @escaping @Sendable (Int) throws(Problem) -> Void) {
        self.source = source
        self.note = note
    }

    nonisolated(nonsending) func next() async throws(Problem) -> [UInt8]? {
        guard let piece = try await source.next() else { return nil }
        try note(piece.count)
        return piece
    }
}
