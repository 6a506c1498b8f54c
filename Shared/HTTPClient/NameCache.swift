import EventLoop
import HTTP

/// The addresses of names, remembered for a while. A name is looked up once for all who ask meanwhile, and so many at a
/// time; a lookup that nobody waits for any more still ends and is remembered. Everything on the loop's thread.
///
/// What is found here is not yet checked: that is done with the address that a socket is connected to.
final class NameCache {
    private struct Known {
        let addresses: [IPAddress]
        let until: LoopTime
    }

    private final class Lookup {
        var addresses: [IPAddress]?
        var waiters: [LoopWaiter] = []
    }

    /// Names remembered at a time.
    private static let capacity = 1024

    private let loop: EventLoop
    private let resolver: any NameResolver
    private let lifetime: LoopInterval
    private let maximumRunning: Int
    private var known: [String: Known] = [:]
    private var lookups: [String: Lookup] = [:]
    private var queue: [String] = []
    private var running = 0

    init(on loop: EventLoop, resolver: any NameResolver, lifetime: Duration, lookups: Int) {
        self.loop = loop
        self.resolver = resolver
        self.lifetime = LoopInterval(lifetime)
        maximumRunning = max(1, lookups)
    }

    /// Errors: `.resolveFailed`, `.timedOut` at the deadline, `.cancelled`.
    nonisolated(nonsending) func addresses(
        of name: String, until deadline: LoopTime
    ) async throws(HTTPClientError) -> [IPAddress] {
        if let known = known[name], known.until > loop.now { return known.addresses }
        let lookup = lookups[name] ?? begin(name)
        let waiter = LoopWaiter(on: loop)
        lookup.waiters.append(waiter)
        defer { lookup.waiters.removeAll { $0 === waiter } }
        while true {
            if let addresses = lookup.addresses {
                if addresses.isEmpty { throw HTTPClientError(.resolveFailed, "the host name has no address") }
                return addresses
            }
            do throws(EventLoopError) {
                try await waiter.wait(until: deadline)
            } catch {
                if error == .timedOut { throw HTTPClientError(.timedOut, "the host name was not resolved in time") }
                throw HTTPClientError(.cancelled, "the task was cancelled")
            }
        }
    }

    private func begin(_ name: String) -> Lookup {
        let lookup = Lookup()
        lookups[name] = lookup
        queue.append(name)
        startQueued()
        return lookup
    }

    private func startQueued() {
        while running < maximumRunning, !queue.isEmpty {
            let name = queue.removeFirst()
            running += 1
            let cache = LoopBound(self, to: loop)
            resolver.resolve(name) { [loop] addresses in
                loop.submit { cache.value.finish(name, addresses) }
            }
        }
    }

    private func finish(_ name: String, _ addresses: [IPAddress]) {
        guard let lookup = lookups.removeValue(forKey: name) else { return }
        running -= 1
        lookup.addresses = addresses
        if !addresses.isEmpty, lifetime > .zero { remember(name, addresses) }
        for waiter in lookup.waiters { waiter.wake() }
        startQueued()
    }

    private func remember(_ name: String, _ addresses: [IPAddress]) {
        if known.count >= NameCache.capacity {
            known = known.filter { $0.value.until > loop.now }
            if known.count >= NameCache.capacity { known = [:] }
        }
        known[name] = Known(addresses: addresses, until: loop.now + lifetime)
    }
}
