private import Dispatch

/// Threads for the few calls that block in the kernel or in a library (name resolution, `PQcancel`): neither an event
/// loop nor the two or three threads of Swift's own pool may wait for those.
///
/// How many run at once is for the callers to limit.
public enum BlockingCalls {
    private static let queue = DispatchQueue(label: "millrace.blocking", attributes: .concurrent)

    public static func start(_ body: @escaping @Sendable () -> Void) {
        queue.async(execute: body)
    }

    public static func start(after delay: Duration, _ body: @escaping @Sendable () -> Void) {
        let (seconds, attoseconds) = delay.components
        queue.asyncAfter(deadline: .now() + Double(seconds) + Double(attoseconds) * 1e-18, execute: body)
    }

    public static func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
