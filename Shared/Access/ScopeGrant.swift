/// One scope as a key has it: `datasets:read`; `datasets:*`, which stands for every scope that begins with `datasets:`;
/// `admin`, which stands for all; or one that is narrowed to names, `datasets:read/web_*`.
struct ScopeGrant: Sendable, Hashable {
    enum Reach: Sendable, Hashable {
        /// All names.
        case whole
        case names(NamePattern)
        /// The text behind the slash is no pattern: what is stored so allows nothing.
        case nothing
    }

    private let scope: [UInt8]
    private let isPrefix: Bool
    private let isAdministrator: Bool
    let reach: Reach

    init(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let name = Array(parts[0].utf8)
        isPrefix = name.count > 2 && name.suffix(2).elementsEqual(":*".utf8)
        scope = isPrefix ? Array(name.dropLast()) : name
        isAdministrator = text == "admin"
        if parts.count == 1 {
            reach = .whole
        } else if let pattern = NamePattern(parts[1]) {
            reach = .names(pattern)
        } else {
            reach = .nothing
        }
    }

    /// Whether it is about the scope, whatever the names. Compared byte by byte: this runs for every request.
    func isAbout(_ name: String) -> Bool {
        if isAdministrator { return true }
        let name = name.utf8
        return isPrefix ? name.starts(with: scope) : name.elementsEqual(scope)
    }

    /// Whether whoever has this one has the other one already.
    func covers(_ other: ScopeGrant) -> Bool {
        if isAdministrator { return true }
        guard !other.isAdministrator else { return false }
        let isAbout =
            isPrefix ? other.scope.starts(with: scope) : !other.isPrefix && other.scope == scope
        guard isAbout else { return false }
        switch (reach, other.reach) {
        case (.nothing, _): return false
        case (.whole, _), (_, .nothing): return true
        case (.names, .whole): return false
        case (.names(let own), .names(let others)): return own.covers(others)
        }
    }
}
