private import EventLoop

/// Turns the host names among the connection settings into addresses, so that libpq does not resolve them itself, which
/// would block the event loop.
enum HostResolver {
    /// The settings with `hostaddr` given for every host. `host` stays, for TLS and passwords are checked against it.
    static func resolve(_ settings: ConnectionSettings) async throws(PostgresError) -> ConnectionSettings {
        guard settings["hostaddr"] == nil, let host = settings["host"], !host.isEmpty else { return settings }
        let hosts = host.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let ports = (settings["port"] ?? "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard hosts.contains(where: needsResolving) else { return settings }
        var found: [(host: String, address: String, port: String)] = []
        for (index, host) in hosts.enumerated() {
            let port = ports.count > 1 && index < ports.count ? ports[index] : ports.first ?? ""
            guard needsResolving(host) else {
                found.append((host, "", port))
                continue
            }
            let addresses = await BlockingCalls.run { HostLookup.addresses(of: host) }
            found += addresses.map { (host, $0, port) }
        }
        guard !found.isEmpty else {
            throw PostgresError(.unavailable, "the host name \(host) cannot be resolved", doing: "connect")
        }
        var resolved = settings
        resolved.set("host", found.map(\.host).joined(separator: ","))
        resolved.set("hostaddr", found.map(\.address).joined(separator: ","))
        resolved.set("port", found.map(\.port).joined(separator: ","))
        return resolved
    }

    /// A socket directory, an abstract socket and the empty name are not names.
    private static func needsResolving(_ host: String) -> Bool {
        guard let first = host.first else { return false }
        return first != "/" && first != "@"
    }
}
