/// What stands before every handler: it lets a request through, with something noted in its context or not, or refuses
/// it by throwing.
public protocol Middleware: Sendable {
    /// Decides without waiting where it can: most requests can be, and then cost no suspension point. False where the
    /// decision takes `admit`, which is called next then, with the request as it is.
    func admitAtOnce(_ request: inout Request) throws -> Bool

    /// Decides, waiting for what it takes.
    nonisolated(nonsending) func admit(_ request: inout Request) async throws
}

extension Middleware {
    public func admitAtOnce(_ request: inout Request) throws -> Bool { false }
}
