/// One version in several content codings: each has a tag of its own, for its octets differ (RFC 9110, section
/// 8.8.3.3), and a condition on any of them is one on the version.
extension EntityTag {
    /// The tag as it is sent with a coding: `"v3"` becomes `"v3-zstd"`. A weak one stays, since it says nothing about
    /// octets.
    public static func coded(_ tag: String, _ coding: AnswerCoding) -> String {
        guard tag.hasPrefix("\""), tag.hasSuffix("\""), tag.utf8.count > 1 else { return tag }
        return "\(tag.dropLast())-\(coding.rawValue)\""
    }

    /// The tag without what its coding adds.
    static func uncoded(_ tag: String) -> String {
        for coding in AnswerCoding.allCases where tag.hasSuffix("-\(coding.rawValue)\"") {
            return "\(tag.dropLast(coding.rawValue.utf8.count + 2))\""
        }
        return tag
    }

    /// Gives the tag in an answer 304 the coding in which the client has what is unchanged, for the client finds it
    /// by that (RFC 9111, section 4.3.4).
    public static func restoreCoding(_ headers: inout HTTPHeaders, _ head: HTTPRequestHead) {
        guard let tag = headers["etag"] else { return }
        let known = head.values("if-none-match").flatMap { FieldScanner.list($0) }
        guard !known.contains(tag) else { return }
        let coded = AnswerCoding.allCases.map { EntityTag.coded(tag, $0) }.first { known.contains($0) }
        if let coded { headers["etag"] = coded }
    }
}
