/// What `If-Match` or `If-None-Match` names (RFC 9110, sections 13.1.1 and 13.1.2): anything at all, or versions by
/// their tags.
struct EntityTagCondition: Sendable, Hashable {
    struct Member: Sendable, Hashable {
        /// With its quotes.
        let text: String
        let isWeak: Bool
    }

    private(set) var isAny = false
    private(set) var members: [Member] = []

    /// Nil without the field. A member that is no tag ends its line: nothing after it matches. The name is given in
    /// lower case.
    init?(_ head: HTTPRequestHead, _ name: String) {
        let values = head.values(name)
        guard !values.isEmpty else { return nil }
        isAny = values == ["*"]
        for value in values where !isAny { read(Array(value.utf8)) }
    }

    /// The strong comparison (section 8.8.3.2). `inAnyCoding`: a tag of the version in another coding will do.
    func matchesStrongly(_ tag: EntityTag?, inAnyCoding: Bool) -> Bool {
        if isAny { return true }
        guard let tag else { return false }
        return members.contains { member in
            guard !member.isWeak else { return false }
            if inAnyCoding { return EntityTag.uncoded(member.text) == EntityTag.uncoded(tag.text) }
            return member.text == tag.text
        }
    }

    /// The weak comparison, with a tag of any coding.
    func matchesWeakly(_ tag: EntityTag?) -> Bool {
        if isAny { return true }
        guard let tag else { return false }
        return members.contains { EntityTag.uncoded($0.text) == EntityTag.uncoded(tag.text) }
    }

    /// A backslash escapes nothing in a tag: it ends at the next quote.
    private mutating func read(_ octets: [UInt8]) {
        let quote = UInt8(ascii: "\"")
        var rest = octets[...]
        while true {
            rest = rest.drop { $0 == Octets.space || $0 == Octets.tab || $0 == UInt8(ascii: ",") }
            let isWeak = rest.starts(with: "W/".utf8)
            if isWeak { rest = rest.dropFirst(2) }
            guard rest.first == quote, let end = rest.dropFirst().firstIndex(of: quote) else { return }
            let after = rest[(end + 1)...].drop { $0 == Octets.space || $0 == Octets.tab }
            guard after.isEmpty || after.first == UInt8(ascii: ",") else { return }
            members.append(Member(text: String(decoding: rest[...end], as: UTF8.self), isWeak: isWeak))
            rest = after
        }
    }
}
