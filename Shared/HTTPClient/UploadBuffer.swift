/// What of a request's body is ready to be sent.
///
/// - open: its writer may add octets; when all have been taken the transfer rests.
/// - ended: what is here is the rest.
///
/// A body that was there from the start is ended, keeps all its octets and can be sent again.
struct UploadBuffer {
    enum Step: Equatable {
        case octets(ArraySlice<UInt8>)
        /// There are none now.
        case rest
        case end
    }

    /// What a writer may put here before it has to wait.
    static let mark = 64 * 1024

    private var octets: [UInt8]
    private var start = 0
    private var isEnded: Bool
    private let isRepeatable: Bool
    /// What the writer still has to give; nil where no length was announced.
    private var missing: Int?

    init(_ body: ClientRequest.Body) {
        switch body {
        case .empty: octets = []
        case .bytes(let bytes): octets = bytes
        case .stream(let length, _):
            octets = []
            missing = length
            isEnded = false
            isRepeatable = false
            return
        }
        isEnded = true
        isRepeatable = true
    }

    var isFull: Bool { octets.count - start >= UploadBuffer.mark }

    /// At most `limit` octets to send next.
    mutating func next(_ limit: Int) -> Step {
        guard start < octets.count else { return isEnded ? .end : .rest }
        let piece = octets[start..<min(start + limit, octets.count)]
        start = piece.endIndex
        return .octets(piece)
    }

    /// Adds octets of the writer's. Errors: `.bodyFailed` if they are more than was announced.
    mutating func append(_ piece: [UInt8]) throws(HTTPClientError) {
        if let missing {
            guard piece.count <= missing else {
                throw HTTPClientError(.bodyFailed, "the request's body is longer than its announced length")
            }
            self.missing = missing - piece.count
        }
        octets.removeFirst(start)
        start = 0
        octets.append(contentsOf: piece)
    }

    /// The writer has given all. Errors: `.bodyFailed` if that is less than was announced.
    mutating func end() throws(HTTPClientError) {
        guard (missing ?? 0) == 0 else {
            throw HTTPClientError(.bodyFailed, "the request's body is shorter than its announced length")
        }
        isEnded = true
    }

    /// Goes back to an octet of the body; false if it is gone.
    mutating func rewind(to offset: Int) -> Bool {
        guard isRepeatable, (0...octets.count).contains(offset) else { return false }
        start = offset
        return true
    }
}
