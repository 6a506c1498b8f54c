/// A long-running part of a process: a server, a worker, a pool.
public protocol Service: Sendable {
    /// How logs call it.
    var name: String { get }

    /// Runs until `shutdown` is requested and everything in hand is finished, then returns. Returning before the
    /// request, or throwing, stops the whole group. Must end promptly when its task is cancelled.
    func run(until shutdown: ShutdownSignal) async throws
}
