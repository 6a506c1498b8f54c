import EventLoop

/// Writes a request's body piece by piece. Used by one task at a time.
public struct ClientBodyWriter: Sendable {
    private let transfer: LoopBound<Transfer>

    init(_ transfer: LoopBound<Transfer>) {
        self.transfer = transfer
    }

    /// Hands over octets and waits while 64 KiB and more are still to be sent. Empty ones send nothing.
    ///
    /// Errors: `.closed` once the answer is complete or is not read any more, `.bodyFailed` if there are more octets
    /// than were announced, `.cancelled`.
    public func write(_ octets: [UInt8]) async throws(HTTPClientError) {
        let transfer = transfer
        try await transfer.loop.perform { () async throws(HTTPClientError) in
            try await transfer.value.write(octets)
        }
    }

    public func write(_ text: String) async throws(HTTPClientError) {
        try await write(Array(text.utf8))
    }
}

extension EventLoop {
    /// Runs `body` on this loop, without a hop if the caller is there.
    nonisolated(nonsending) func perform<T: Sendable>(
        _ body: @Sendable () async throws(HTTPClientError) -> T
    ) async throws(HTTPClientError) -> T {
        try await withTaskExecutorPreference(self) { () async throws(HTTPClientError) in try await body() }
    }
}
