private import EventLoop
public import HTTP

/// Where a client learns the addresses of host names.
public protocol NameResolver: Sendable {
    /// Calls `done` once, from any thread, with the addresses in the order in which to try them; with none if there are
    /// none. Returns at once.
    func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void)
}

/// The system's resolver, on threads of its own since it blocks.
public struct SystemNameResolver: NameResolver {
    public init() {}

    public func resolve(_ name: String, _ done: @escaping @Sendable ([IPAddress]) -> Void) {
        BlockingCalls.start {
            done(HostLookup.addresses(of: name).compactMap { IPAddress($0) })
        }
    }
}
