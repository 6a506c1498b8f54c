import HTTP

/// One request and its answer as a value: each method changes it and says what is to be done, so that libcurl is never
/// called while it is being changed.
///
/// - under way: `end` is nil. libcurl adds to the head and the body, the reader takes from them.
/// - complete: `end` is `.success`. Nothing is added; what is left of the body can still be read.
/// - failed: `end` is `.failure`. What is left of the body is not read any more. Nothing leaves this state.
struct TransferState {
    enum Taking: Equatable {
        case octets([UInt8])
        case end
        /// Nothing is there now.
        case rest
    }

    /// The body's octets that may wait for the reader before libcurl is made to rest, and with it the server.
    static let mark = 64 * 1024

    private let bodyLimit: Int
    private var reader: ResponseHeadReader
    private var pieces: [[UInt8]] = []
    private var waiting = 0
    private var received = 0
    /// Whether libcurl was told to rest, in each direction.
    private(set) var restsReceiving = false
    private(set) var restsSending = false
    private(set) var end: Result<Void, HTTPClientError>?
    /// Why libcurl was told to give up; it then says itself only that it was told so.
    private var fault: HTTPClientError?
    var upload: UploadBuffer

    init(_ request: ClientRequest, limits: TransferLimits) {
        bodyLimit = limits.body
        reader = ResponseHeadReader(limits: limits)
        upload = UploadBuffer(request.body)
    }

    var head: (status: HTTPStatus, headers: HTTPHeaders)? { reader.head }

    // MARK: libcurl's side

    /// False: libcurl has to give up.
    mutating func receiveHead(_ line: [UInt8]) -> Bool {
        do throws(HTTPClientError) {
            try reader.read(line)
            return true
        } catch {
            blame(error)
            return false
        }
    }

    enum BodyVerdict { case take, rest, giveUp }

    /// What to do about so many octets of the body.
    mutating func admit(_ count: Int) -> BodyVerdict {
        if received + count > bodyLimit {
            blame(HTTPClientError(.tooLarge, "the answer's body is larger than \(bodyLimit) octets"))
        }
        // Once it has given up nothing more is taken, or the body would have a hole.
        if fault != nil { return .giveUp }
        if waiting > 0, waiting + count > TransferState.mark {
            restsReceiving = true
            return .rest
        }
        return .take
    }

    mutating func receiveBody(_ piece: [UInt8]) {
        received += piece.count
        waiting += piece.count
        pieces.append(piece)
    }

    mutating func nextToSend(_ limit: Int) -> UploadBuffer.Step {
        let step = upload.next(limit)
        if step == .rest { restsSending = true }
        return step
    }

    /// The transfer is over; the first reason counts, and before libcurl's own what it was told.
    mutating func finish(_ result: Result<Void, HTTPClientError>) {
        guard end == nil else { return }
        end = fault.map { .failure($0) } ?? result
    }

    private mutating func blame(_ error: HTTPClientError) { fault = fault ?? error }

    // MARK: The reader's and the writer's side

    /// What there is of the body. `resumes`: libcurl, which rests, is to go on.
    mutating func take() throws(HTTPClientError) -> (taking: Taking, resumes: Bool) {
        if case .failure(let error) = end { throw error }
        guard !pieces.isEmpty else { return (end == nil ? .rest : .end, false) }
        var octets = pieces[0]
        for piece in pieces.dropFirst() { octets.append(contentsOf: piece) }
        pieces.removeAll(keepingCapacity: true)
        waiting = 0
        defer { restsReceiving = false }
        return (.octets(octets), restsReceiving)
    }

    /// True: libcurl, which rests because there was nothing to send, is to go on.
    mutating func wakeSending() -> Bool {
        defer { restsSending = false }
        return restsSending
    }
}
