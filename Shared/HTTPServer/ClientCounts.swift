import HTTP

/// Counts the connections of each client, and refuses those over a limit. A client is an IPv4 address, or the 64-bit
/// network of an IPv6 address, for a single site has all of that.
struct ClientCounts {
    private let limit: Int
    private let proxies: [AddressRange]
    private var counts: [IPAddress: Int] = [:]

    init(limit: Int, except proxies: [AddressRange]) {
        self.limit = limit
        self.proxies = proxies
    }

    /// Counts a connection from the numeric address; false if there are as many as there may be.
    mutating func enter(_ peer: String) -> Bool {
        guard let client = client(peer) else { return true }
        let count = counts[client, default: 0]
        guard count < limit else { return false }
        counts[client] = count + 1
        return true
    }

    /// A connection that was counted has ended.
    mutating func leave(_ peer: String) {
        guard let client = client(peer), let count = counts[client] else { return }
        counts[client] = count > 1 ? count - 1 : nil
    }

    /// Nil for those that are not counted.
    private func client(_ peer: String) -> IPAddress? {
        guard let address = IPAddress(peer)?.unmapped, !proxies.contains(where: { $0.contains(address) }) else {
            return nil
        }
        return address.family == .v4 ? address : IPAddress(v6: (address.bits >> 64) << 64)
    }
}
