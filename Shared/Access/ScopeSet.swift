/// What a key may do: names of scopes, wildcards among them, some of them narrowed to names of resources.
///
/// `datasets:*` allows every scope that begins with `datasets:`. `admin` allows everything in the key's workspace.
/// `ingest:write/web_*` allows `ingest:write` for sources whose names begin with `web_`. What is not granted for the
/// names in question is not granted: a route that is about no one name needs the scope for all of them, unless it looks
/// at the names itself.
public struct ScopeSet: Sendable, Hashable {
    /// Every scope there is; routes name one of them.
    public static let known: [String] =
        narrowable + [
            "query", "endpoints:write", "rollups:write", "keys:read", "keys:write", "admin",
        ]

    /// Those that can be narrowed to names. SQL reads every dataset, so neither asking nor publishing it can be;
    /// nor can making rollups, which read the dataset that they name.
    public static let narrowable: [String] = [
        "ingest:write", "sources:read", "sources:write", "pipelines:read", "pipelines:write", "datasets:read",
        "datasets:write", "raw:read", "endpoints:read", "dashboards:read", "dashboards:write", "rollups:read",
    ]

    /// The most scopes of one key.
    public static let maximumCount = 32

    /// As they were granted.
    public let names: [String]
    private let grants: [ScopeGrant]

    /// Takes what is stored; a name that is not known allows nothing but itself.
    public init(_ names: [String]) {
        self.names = names
        grants = names.map(ScopeGrant.init)
    }

    public static let administrator = ScopeSet(["admin"])

    /// Whether a key with these scopes may use a route that needs `scope`, whatever the names.
    public func allows(_ scope: String) -> Bool {
        grants.contains { $0.reach == .whole && $0.isAbout(scope) }
    }

    /// Whether it has the scope for the resource of this name.
    public func allows(_ scope: String, on name: String) -> Bool {
        grants.contains { grant in
            guard grant.isAbout(scope) else { return false }
            switch grant.reach {
            case .whole: return true
            case .names(let pattern): return pattern.matches(name)
            case .nothing: return false
            }
        }
    }

    /// Whether it has the scope for some names at least.
    public func allowsSome(_ scope: String) -> Bool {
        grants.contains { $0.reach != .nothing && $0.isAbout(scope) }
    }

    /// The names for which it has the scope as patterns of LIKE; nil for all of them.
    public func likePatterns(of scope: String) -> [String]? {
        if allows(scope) { return nil }
        return grants.compactMap { grant in
            if case .names(let pattern) = grant.reach, grant.isAbout(scope) { pattern.like } else { nil }
        }
    }

    /// What of `names` goes beyond these scopes: who has these may not give it away.
    public func exceeding(_ names: [String]) -> [String] {
        names.filter { name in
            let asked = ScopeGrant(name)
            return !grants.contains { $0.covers(asked) }
        }
    }

    /// The names that may not be granted: not known, no wildcard of a known one, or narrowed where that cannot be.
    public static func unknown(in names: [String]) -> [String] {
        names.filter { name in
            let grant = ScopeGrant(name)
            let scope = String(name.prefix { $0 != "/" })
            let meant = known.filter { $0 == scope || (scope != "admin" && grant.isAbout($0)) }
            switch grant.reach {
            case .whole: return meant.isEmpty
            case .names: return meant.isEmpty || !meant.allSatisfy(narrowable.contains)
            case .nothing: return true
            }
        }
    }
}
