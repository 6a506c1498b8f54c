private import Glibc

/// The system's name resolution: whatever `/etc/nsswitch.conf` says. It blocks, for half a minute if it must; call it
/// by `BlockingCalls`.
public enum HostLookup {
    /// The most addresses taken of one host.
    public static let maximumAddresses = 8

    /// The numeric addresses of a host in the order in which to try them (RFC 6724), each once; empty if there is none.
    public static func addresses(of host: String) -> [String] {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
        defer { unsafe freeaddrinfo(list) }
        var addresses: [String] = []
        var next = unsafe list
        while let entry = unsafe next, addresses.count < maximumAddresses {
            if let address = unsafe numeric(entry.pointee), !addresses.contains(address) { addresses.append(address) }
            unsafe next = unsafe entry.pointee.ai_next
        }
        return addresses
    }

    private static func numeric(_ entry: addrinfo) -> String? {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { text in
            let code = unsafe getnameinfo(
                entry.ai_addr, entry.ai_addrlen, text.baseAddress, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
            guard code == 0, let start = text.baseAddress else { return nil }
            return unsafe String(cString: start)
        }
    }
}
