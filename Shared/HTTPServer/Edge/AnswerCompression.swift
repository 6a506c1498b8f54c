import HTTP
import Synchronization

/// Compresses answers by `Accept-Encoding`: whole ones above a size, and streams, of types that compress well.
///
/// A stream is flushed with each piece that its handler writes, so nobody waits for what has been written; event
/// streams are left alone, since their events are small and each should go out at once. An answer says no to all of
/// this by a `Content-Encoding` of its own or by `Cache-Control: no-transform`.
///
/// The length of a compressed answer tells of its content (BREACH): whoever can have a victim send requests with words
/// of his choice, which are repeated in the answer beside a secret, and can watch the lengths, can guess the secret.
/// That needs requests that a browser authenticates by itself: a key is in `Authorization`, which only its owner's own
/// code sets, and browsers send a session's cookie for pages of the same site only. A handler whose answer has a secret
/// beside what others may choose has to say `no-transform`.
final class AnswerCompression: Sendable {
    /// Octets below which a coding saves no packet.
    static let smallest = 1024
    /// Octets that are compressed on the event loop: about half a millisecond.
    static let onLoop = 32 * 1024
    /// Streams compressed at a time, which bounds their memory; further ones go out as they are.
    static let streamLimit = 256

    private let streams = Atomic(0)

    /// Says in the answer what follows from `Accept-Encoding`; returns the coding that its body is to be given.
    func choose(for response: inout Response, to head: HTTPRequestHead) -> AnswerCoding? {
        switch response.body {
        case .bytes(let body) where body.count >= AnswerCompression.smallest: break
        case .bytes(let body) where !body.isEmpty && AnswerCompression.mayRefuseIdentity(head):
            guard AcceptedCodings(head).refusesIdentity else { return nil }
        case .stream: break
        case .empty where response.status == .notModified:
            EntityTag.restoreCoding(&response.headers, head)
            return nil
        case .bytes, .empty, .webSocket: return nil
        }
        guard AnswerCompression.isCompressible(response) else { return nil }
        if !response.headers.values("vary").contains("Accept-Encoding") {
            response.headers.add("vary", "Accept-Encoding")
        }
        return AcceptedCodings(head).choose()
    }

    /// The answer in the coding; unchanged where that gains nothing.
    nonisolated(nonsending) func encode(_ response: Response, _ coding: AnswerCoding) async -> Response {
        var response = response
        switch response.body {
        case .bytes(let body):
            let encoded = await AnswerCompression.encode(body, coding)
            if encoded.count >= body.count, body.count >= AnswerCompression.smallest { return response }
            response.body = .bytes(encoded)
        case .stream(let write):
            guard let permit = permit() else { return response }
            response.headers["content-length"] = nil
            response.body = .stream { writer in
                let stream = CompressedStream(writer, coding, permit)
                try await write(ResponseWriter(stream))
                try await stream.finish()
            }
        case .empty, .webSocket: return response
        }
        response.headers.add("content-encoding", coding.rawValue)
        // Ranges are of the answer as it was: whoever counts octets of the coding would ask for the wrong ones.
        response.headers.remove("accept-ranges")
        if let tag = response.headers["etag"] { response.headers["etag"] = EntityTag.coded(tag, coding) }
        return response
    }

    private nonisolated(nonsending) static func encode(_ body: [UInt8], _ coding: AnswerCoding) async -> [UInt8] {
        if body.count <= onLoop { return AnswerEncoder.encode(body, coding) }
        return await withTaskExecutorPreference(globalConcurrentExecutor) { AnswerEncoder.encode(body, coding) }
    }

    /// Looks before it reads: few clients refuse an answer as it is.
    private static func mayRefuseIdentity(_ head: HTTPRequestHead) -> Bool {
        guard let octets = head.octets(of: "accept-encoding") else { return false }
        return octets.contains(UInt8(ascii: "*")) || octets.contains { $0 | 0x20 == UInt8(ascii: "y") }
    }

    private static func isCompressible(_ response: Response) -> Bool {
        let headers = response.headers
        guard response.status.allowsBody, response.status.code != 206, !headers.contains("content-encoding"),
            let type = headers["content-type"].flatMap(MediaType.init), type.isCompressible
        else { return false }
        return !(headers["cache-control"].map { $0.lowercased().contains("no-transform") } ?? false)
    }

    /// Nil where there are as many streams as there may be.
    private func permit() -> StreamPermit? {
        if streams.add(1, ordering: .relaxed).newValue <= AnswerCompression.streamLimit { return StreamPermit(self) }
        streams.subtract(1, ordering: .relaxed)
        return nil
    }

    /// One of the streams that may be compressed at a time; ends with its last reference.
    final class StreamPermit: Sendable {
        private let owner: AnswerCompression

        fileprivate init(_ owner: AnswerCompression) {
            self.owner = owner
        }

        deinit { owner.streams.subtract(1, ordering: .relaxed) }
    }
}
