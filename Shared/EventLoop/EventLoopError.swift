/// Why a wait on an event loop ended without what was waited for, or why a descriptor could not be registered.
public enum EventLoopError: Error, Hashable, Sendable {
    /// The deadline passed.
    case timedOut
    /// The waiting task was cancelled.
    case cancelled
    /// The descriptor was closed, before or while it was waited for.
    case closed
    /// The kernel refused; `call` names the system call, `number` is its errno.
    case system(call: String, number: CInt)
}

extension EventLoopError {
    /// Passes a C shim's result on, or throws its negative errno.
    static func check(_ result: CInt, _ call: String) throws(EventLoopError) -> CInt {
        if result < 0 { throw .system(call: call, number: -result) }
        return result
    }
}
