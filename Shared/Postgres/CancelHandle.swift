private import CPostgres
private import EventLoop

/// libpq's `PGcancel`: asks the server to cancel whatever one connection is running. Never changes, so any thread may
/// use it.
@safe final class CancelHandle: Sendable {
    private nonisolated(unsafe) let pointer: OpaquePointer

    init?(adopting pointer: OpaquePointer?) {
        guard let pointer = unsafe pointer else { return nil }
        unsafe self.pointer = unsafe pointer
    }

    deinit {
        unsafe PQfreeCancel(pointer)
    }

    /// Sends the request from another thread, for `PQcancel` connects and waits, and does not report how it went: the
    /// cancelled statement ends with 57014, or had ended before. `completion` is called there once the server has
    /// acted on the request, or could not be reached.
    func request(_ completion: @escaping @Sendable () -> Void = {}) {
        BlockingCalls.start { [self] in
            unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { message in
                _ = unsafe PQcancel(pointer, message.baseAddress, CInt(message.count))
            }
            completion()
        }
    }
}
