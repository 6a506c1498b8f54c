/// What a key may do: names of scopes, wildcards among them.
///
/// `datasets:*` allows every scope that begins with `datasets:`. `admin` allows everything in the key's workspace.
public struct ScopeSet: Sendable, Hashable {
    /// Every scope there is; routes name one of them.
    public static let known: [String] = [
        "ingest:write", "sources:read", "sources:write", "pipelines:read", "pipelines:write", "datasets:read",
        "datasets:write", "raw:read", "query", "endpoints:read", "endpoints:write", "dashboards:read",
        "dashboards:write", "rollups:read", "rollups:write", "admin",
    ]

    /// The most scopes of one key.
    public static let maximumCount = 32

    /// As they were granted.
    public let names: [String]

    /// Takes what is stored; a name that is not known allows nothing but itself.
    public init(_ names: [String]) {
        self.names = names
    }

    public static let administrator = ScopeSet(["admin"])

    /// Whether a key with these scopes may use a route that needs `scope`.
    public func allows(_ scope: String) -> Bool {
        names.contains { $0 == scope || $0 == "admin" || Self.wildcard($0, covers: scope) }
    }

    /// The names that may not be granted: not known, and no wildcard of a known one.
    public static func unknown(in names: [String]) -> [String] {
        names.filter { name in !known.contains { $0 == name || wildcard(name, covers: $0) } }
    }

    /// `x:*` covers `x:y`. Compared byte by byte: names are ASCII, and this runs for every request.
    private static func wildcard(_ name: String, covers scope: String) -> Bool {
        let pattern = name.utf8
        guard pattern.count > 2, pattern.last == UInt8(ascii: "*") else { return false }
        let prefix = pattern.dropLast()
        return prefix.last == UInt8(ascii: ":") && scope.utf8.starts(with: prefix)
    }
}
