import EventLoop

/// A connection's state and the waiting for it: libpq's handle, its socket on the event loop, its prepared statements.
///
/// Everything here happens on `loop`'s thread; that, checked at every operation's start, is why it may be referred to
/// from anywhere. README.md says what is true in each phase.
final class ConnectionCore: @unchecked Sendable {
    /// - `idle`: no result is outstanding; an operation may start.
    /// - `busy`: one task runs an operation.
    /// - `closed`: the socket is gone; every operation fails.
    enum Phase { case idle, busy, closed }

    /// While sending is stuck, input is looked at this often: a server that waits for us to read would never read.
    private static let stuckSendingPause: Duration = .milliseconds(20)

    let loop: EventLoop
    let configuration: PostgresConfiguration
    private(set) var phase = Phase.idle
    var handle: ConnectionHandle
    private let descriptor: PolledDescriptor
    private let cancelHandle: CancelHandle?
    var statements: StatementCache
    var parameterBuffer = ParameterBuffer()
    /// A `BEGIN` to be sent with the next statement.
    var pendingBegin: String?
    var streaming = StreamState()
    /// The last statement gave its rows one by one: libpq would have the first of a pipeline do so, too.
    var followsStream = false
    /// What may be given to the COPY under way before its socket is looked at again.
    var copyRoom = 0
    /// Why the server ended the COPY under way.
    var copyRefusal: PostgresError?

    // What the running operation is and how it is bounded.
    private(set) var doing = ""
    private var deadline: ContinuousClock.Instant?
    /// Set once the deadline passed or the task was cancelled: the server has been asked to cancel, and what it still
    /// answers is awaited, whatever happens to the task.
    private(set) var interruption: PostgresError?
    private var shielded = false
    /// What the loss of the connection means at this moment.
    var lossCode = PostgresError.Code.connectionLost
    private var cancelling = false
    private var cancelRequests = 0
    private var cancelWaiter: CheckedContinuation<Void, Never>?

    init(_ handle: consuming ConnectionHandle, _ descriptor: PolledDescriptor, _ configuration: PostgresConfiguration) {
        loop = descriptor.loop
        cancelHandle = handle.makeCancelHandle()
        self.handle = handle
        self.descriptor = descriptor
        self.configuration = configuration
        statements = StatementCache(limit: configuration.maximumPreparedStatements)
    }

    /// Closes the socket. Again is harmless.
    func close() {
        precondition(loop.isCurrent, "a connection is closed on its loop's thread")
        guard phase != .closed else { return }
        phase = .closed
        descriptor.close()
        handle.finish()
    }

    // MARK: Operations

    /// Runs one operation: nobody else's statement is under way, and afterwards none is.
    ///
    /// `limit` bounds it; `shielded` makes it deaf to cancellation. An operation must read its results to their end
    /// before it throws a server's error.
    func perform<T>(
        _ doing: String, limit: Duration? = nil, shielded: Bool = false, _ body: () async throws -> T
    ) async throws -> T {
        try begin(doing, limit: limit, shielded: shielded)
        do {
            let value = try await body()
            await end()
            return value
        } catch {
            await end()
            if let error = error as? PostgresError { throw explain(error) }
            throw error
        }
    }

    /// A cancelled statement failed because of what made us cancel it.
    func explain(_ error: PostgresError) -> PostgresError {
        if let interruption, error.sqlstate == .queryCanceled { return interruption }
        return error
    }

    /// The connection is taken by one operation; `end` gives it back.
    func begin(_ doing: String, limit: Duration?, shielded: Bool) throws(PostgresError) {
        precondition(loop.isCurrent, "a connection is used on its loop's thread")
        switch phase {
        case .closed: throw PostgresError(.closed, "the connection is closed", doing: doing)
        case .busy: throw PostgresError(.misuse, "the connection is in use by another task", doing: doing)
        case .idle: break
        }
        if !shielded, Task.isCancelled { throw PostgresError(.cancelled, "the task was cancelled", doing: doing) }
        phase = .busy
        self.doing = doing
        self.shielded = shielded
        interruption = nil
        lossCode = .connectionLost
        deadline = limit.map { .now + $0 }
    }

    /// A late cancel request would hit the next statement: it must have come back before there is one.
    func end() async {
        if cancelling, phase != .closed {
            let request = cancelRequests
            BlockingCalls.start(after: configuration.answerGrace) { [self] in
                loop.submit { [self] in
                    if request == cancelRequests { giveUpCancelling() }
                }
            }
            await withCheckedContinuation { cancelWaiter = $0 }
        }
        if phase == .busy { phase = .idle }
    }

    private func giveUpCancelling() {
        guard let waiter = cancelWaiter.take() else { return }
        close()
        waiter.resume()
    }

    // MARK: Waiting

    /// The next result, awaited.
    func nextEvent() async throws(PostgresError) -> ConnectionHandle.Event {
        while handle.isBusy {
            try await awaitInput()
        }
        return try judge(handle.nextEvent(doing: doing))
    }

    /// What an event means for the connection: throws where it is lost.
    func judge(_ event: ConnectionHandle.Event) throws(PostgresError) -> ConnectionHandle.Event {
        guard case .failed(let error) = event else { return event }
        if error.code == .connectionLost { throw lost(error.message) }
        if !handle.isGood || error.sqlstate?.isConnectionFault == true {
            throw lost(error.message, sqlstate: error.sqlstate)
        }
        if error.sqlstate == .queryCanceled, interruption == nil, !cancelling, configuration.statementTimeout != nil {
            return .failed(PostgresError(.timedOut, error.message, doing: doing, sqlstate: error.sqlstate))
        }
        return .failed(error)
    }

    /// Waits for input and reads it.
    func awaitInput() async throws(PostgresError) {
        try await wait(.readable, until: deadline)
        var reads = 1
        // Decrypted bytes may lie in the TLS library, where the kernel does not see them: at most a record of 16 KiB,
        // of which libpq takes 8 KiB or more a call.
        if handle.usesTLS { reads = 3 }
        while reads > 0 {
            reads -= 1
            try noteIncoming(descriptor.readableBytes)
            guard handle.consumeInput() else {
                if case .failed(let error) = handle.nextEvent(doing: doing) {
                    throw lost(error.message, sqlstate: error.sqlstate)
                }
                throw lost(handle.errorMessage)
            }
            if !handle.isBusy { return }
        }
    }

    /// Counts what comes of one row, which libpq keeps in memory as a whole.
    private func noteIncoming(_ count: @autoclosure () -> Int) throws(PostgresError) {
        guard let limit = streaming.maximumRowBytes else { return }
        streaming.rowBytes += count()
        if streaming.rowBytes > limit {
            close()
            throw PostgresError(.rowTooLarge, "a row has more than \(limit) bytes", doing: doing)
        }
    }

    /// Waits for input that belongs to no statement; a cancelled task leaves at once.
    func awaitNotification() async throws(PostgresError) {
        do throws(EventLoopError) {
            try await descriptor.waitReadable()
        } catch {
            throw PostgresError(.cancelled, "\(error)", doing: doing)
        }
        guard handle.consumeInput(), handle.isGood else { throw lost(handle.errorMessage) }
        // The server says goodbye with an error that answers nothing.
        _ = handle.isBusy
    }

    /// Sends what has been queued.
    func flush() async throws(PostgresError) {
        while true {
            switch handle.flush() {
            case .done: return
            case .failed: try await lostWhileSending()
            case .pending:
                if try await awaitWritable() { break }
                guard handle.consumeInput() else { try await lostWhileSending() }
            }
        }
    }

    /// Waits until the socket takes more; false when that takes suspiciously long: look at the input then.
    func awaitWritable() async throws(PostgresError) -> Bool {
        let pause = ContinuousClock.now + Self.stuckSendingPause
        do {
            try await wait(.writable, until: min(deadline ?? pause, pause))
            return true
        } catch  where error.code == .timedOut {
            return false
        }
    }

    private enum Awaited { case readable, writable }

    private func wait(_ awaited: Awaited, until instant: ContinuousClock.Instant?) async throws(PostgresError) {
        let shielded = self.shielded || interruption != nil
        do throws(EventLoopError) {
            switch awaited {
            case .readable: try await descriptor.waitReadable(until: instant, shielded: shielded)
            case .writable: try await descriptor.waitWritable(until: instant, shielded: shielded)
            }
        } catch {
            switch error {
            case .timedOut:
                // A pause in sending is no deadline.
                if let deadline, deadline <= .now { return try interrupt(.timedOut, "the time limit has passed") }
                throw PostgresError(.timedOut, "pause", doing: doing)
            case .cancelled: try interrupt(.cancelled, "the task was cancelled")
            case .closed: throw PostgresError(.closed, "the connection was closed", doing: doing)
            case .system(let call, let number): throw lost("\(call) failed with \(number)")
            }
        }
    }

    /// Asks the server to cancel; from now on what it answers is awaited, for a limited time.
    func interrupt(_ code: PostgresError.Code, _ message: String) throws(PostgresError) {
        guard interruption == nil, !shielded else { throw lost("no answer within the time limit") }
        interruption = PostgresError(code, message, doing: doing)
        deadline = .now + configuration.answerGrace
        requestCancel()
    }

    /// Cancels what another task is running here.
    func cancelFromElsewhere() {
        if phase == .busy { requestCancel() }
    }

    private func requestCancel() {
        guard let cancelHandle, !cancelling else { return }
        cancelling = true
        cancelRequests += 1
        cancelHandle.request { [self] in
            loop.submit { [self] in
                cancelling = false
                cancelWaiter.take()?.resume()
            }
        }
    }

    // MARK: Loss

    /// libpq would not send: because the statement cannot be sent, or because the connection has gone.
    func refused() -> PostgresError {
        handle.isGood ? PostgresError(.misuse, handle.errorMessage, doing: doing) : lost(handle.errorMessage)
    }

    /// Closes the connection and says what that means.
    func lost(_ message: String, sqlstate: SQLState? = nil) -> PostgresError {
        close()
        if let interruption, lossCode == .connectionLost { return interruption }
        return PostgresError(lossCode, message, doing: doing, sqlstate: sqlstate)
    }

    /// What the server said last (that it is shutting down, perhaps) tells more than a broken pipe.
    private func lostWhileSending() async throws(PostgresError) -> Never {
        let message = handle.errorMessage
        _ = handle.consumeInput()
        if case .failed(let error) = handle.nextEvent(doing: doing) {
            throw lost(error.message, sqlstate: error.sqlstate)
        }
        throw lost(message)
    }
}
