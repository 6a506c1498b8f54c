import EventLoop
import HTTP
import Observability

/// One request on its way and its answer: libcurl's handle, the state that its callbacks change, and the two tasks that
/// may wait for them. Everything on the loop's thread.
final class Transfer {
    private var handle: EasyHandle
    private var state: TransferState
    private let policy: AddressPolicy
    private let isInClear: Bool
    private let engine: TransferEngine
    /// Whoever waits for the head or the body, and whoever waits to write.
    private let reader: LoopWaiter
    private let writer: LoopWaiter
    private var refusal: HTTPClientError?
    private var sockets = 0
    /// Whether libcurl may look at the host at all: an address, since names have been resolved before.
    let mayResolve: Bool

    /// Errors: `.library`.
    init(_ request: ClientRequest, _ setup: TransferSetup, on engine: TransferEngine) throws(HTTPClientError) {
        handle = try EasyHandle()
        state = TransferState(request, limits: setup.limits)
        policy = setup.settings.addresses
        isInClear = setup.url.scheme == "http"
        mayResolve = setup.url.literal != nil
        self.engine = engine
        reader = LoopWaiter(on: engine.loop)
        writer = LoopWaiter(on: engine.loop)
        do throws(HTTPClientError) {
            try handle.configure(setup, for: self)
        } catch {
            state.finish(.failure(error))
            throw error
        }
    }

    deinit {
        assert(state.end != nil, "a transfer was dropped while it was under way")
    }

    // MARK: libcurl's side, from inside its calls

    func receiveHead(_ line: [UInt8]) -> Bool {
        let isTaken = state.receiveHead(line)
        reader.wake()
        return isTaken
    }

    func admit(_ count: Int) -> TransferState.BodyVerdict { state.admit(count) }

    func receiveBody(_ octets: [UInt8]) {
        state.receiveBody(octets)
        reader.wake()
    }

    func nextToSend(_ limit: Int) -> UploadBuffer.Step {
        let step = state.nextToSend(limit)
        writer.wake()
        return step
    }

    func rewind(to offset: Int) -> Bool { state.upload.rewind(to: offset) }

    /// Asked before each socket. What is refused is remembered, for libcurl only sees that there was no socket; when
    /// another of the host's addresses may be connected to, what becomes of that counts.
    func mayConnect(to address: IPAddress?) -> Bool {
        let kind = address.map { policy.refusal(of: $0, isInClear) } ?? "no address of the Internet"
        guard let kind else {
            sockets += 1
            return true
        }
        let text = address.map(\.description) ?? "an unknown family"
        refusal = HTTPClientError(.addressRefused, "\(text) may not be connected to: \(kind)")
        engine.metrics.addressesRefused.add()
        return false
    }

    // MARK: The engine's side

    func add(to multi: MultiHandle) -> Bool { multi.add(handle) }

    func remove(from multi: MultiHandle) {
        multi.remove(handle)
        engine.metrics.connectionsOpened.add(handle.connectionsOpened)
    }

    /// libcurl is done with it.
    func finish(libcurl code: CInt) {
        var result = handle.result(code)
        if case .failure(let error) = result, error.code == .connectFailed, sockets == 0, let refusal {
            result = .failure(refusal)
        }
        finish(result)
    }

    func finish(_ result: Result<Void, HTTPClientError>) {
        state.finish(result)
        reader.wake()
        writer.wake()
    }

    // MARK: The reader's side

    /// Waits for the head. Errors: all of a transfer's, and `.cancelled`.
    nonisolated(nonsending) func head() async throws(HTTPClientError) -> (status: HTTPStatus, headers: HTTPHeaders) {
        while true {
            if let head = state.head { return head }
            switch state.end {
            case .failure(let error): throw error
            case .success: throw HTTPClientError(.protocolViolation, "the answer has no head")
            case nil: try await Transfer.wait(reader)
            }
        }
    }

    /// Waits for octets of the body; nil after the last. Errors as for `head`.
    nonisolated(nonsending) func next() async throws(HTTPClientError) -> [UInt8]? {
        while true {
            let (taking, resumes) = try state.take()
            if resumes { updateRest() }
            switch taking {
            case .octets(let octets): return octets
            case .end: return nil
            case .rest: try await Transfer.wait(reader)
            }
        }
    }

    /// Ends it, whatever is missing, and closes its connection unless libcurl is done with it.
    func abandon() {
        engine.abandon(self, HTTPClientError(.closed, "the answer is not read any more"))
    }

    // MARK: The writer's side

    /// Adds octets to the request's body and waits until there is room for more.
    /// Errors: `.closed` once the transfer is over, `.bodyFailed`, `.cancelled`.
    nonisolated(nonsending) func write(_ octets: [UInt8]) async throws(HTTPClientError) {
        if octets.isEmpty { return }
        try refuseWhenOver()
        try state.upload.append(octets)
        if state.wakeSending() { updateRest() }
        while state.upload.isFull {
            try await Transfer.wait(writer)
            try refuseWhenOver()
        }
    }

    /// The request's body is complete. Errors: `.bodyFailed`.
    func endBody() throws(HTTPClientError) {
        guard state.end == nil else { return }
        try state.upload.end()
        if state.wakeSending() { updateRest() }
    }

    /// The request's body cannot be completed.
    func failBody(_ error: HTTPClientError) { engine.abandon(self, error) }

    private func refuseWhenOver() throws(HTTPClientError) {
        if state.end != nil { throw HTTPClientError(.closed, "the transfer is over") }
    }

    /// Tells libcurl which directions rest. It may hand over octets from inside this.
    private func updateRest() {
        guard state.end == nil else { return }
        if handle.rest(receiving: state.restsReceiving, sending: state.restsSending) {
            engine.wake()
        } else {
            engine.abandon(self, HTTPClientError(.library, "libcurl cannot go on with a transfer that rested"))
        }
    }

    private nonisolated(nonsending) static func wait(_ waiter: LoopWaiter) async throws(HTTPClientError) {
        do throws(EventLoopError) {
            try await waiter.wait()
        } catch {
            throw HTTPClientError(.cancelled, "the task was cancelled")
        }
    }
}
