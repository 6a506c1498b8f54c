private import Dispatch

/// Threads for the few calls that block in the kernel or in libpq (name resolution, `PQcancel`): neither an event loop
/// nor the two or three threads of Swift's own pool may wait for those.
enum BlockingCalls {
    private static let queue = DispatchQueue(label: "millrace.postgres.blocking", attributes: .concurrent)

    static func start(_ body: @escaping @Sendable () -> Void) {
        queue.async(execute: body)
    }

    static func start(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        let (seconds, attoseconds) = delay.components
        queue.asyncAfter(deadline: .now() + Double(seconds) + Double(attoseconds) * 1e-18, execute: body)
    }

    static func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
