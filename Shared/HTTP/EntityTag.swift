/// A strong entity tag (RFC 9110, section 8.8.3) and the conditions made of it.
public struct EntityTag: Sendable, Hashable {
    /// The tag with its quotes, as it is sent.
    public let text: String

    /// The tag of a resource's version.
    public init(version: some BinaryInteger) {
        text = "\"v\(version)\""
    }

    /// The tag of content: its FNV-1a hash of 128 bits, which tells versions apart, and no more than that.
    public init(content: [UInt8]) {
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        let octets = content.span
        for index in octets.indices {
            hash = (hash ^ UInt128(octets[index])) &* 0x0100_0000_0000_0000_0000_013B
        }
        let digits = String(hash, radix: 16)
        text = "\"" + String(repeating: "0", count: 32 - digits.utf8.count) + digits + "\""
    }

    /// The tag of the same version in a content coding.
    public init(_ tag: EntityTag, in coding: AnswerCoding) {
        text = EntityTag.coded(tag.text, coding)
    }

    /// Throws `precondition_failed` unless `If-Match` is absent or names the resource as it is; `current` is nil when
    /// there is none. `If-None-Match: *` asks that there be none.
    public static func check(_ head: HTTPRequestHead, current: EntityTag?) throws(Problem) {
        let expected = head.values("if-match").flatMap(FieldScanner.list).map(EntityTag.uncoded)
        if !expected.isEmpty {
            guard let current else { throw Problem(.preconditionFailed, "the resource does not exist") }
            guard expected.contains("*") || expected.contains(uncoded(current.text)) else {
                throw Problem(.preconditionFailed, "the resource is at \(current.text)")
            }
        }
        if head.method != .get, head.method != .head, isUnchanged(head, current: current) {
            throw Problem(.preconditionFailed, "the resource exists as \(current?.text ?? "*")")
        }
    }

    /// Whether a GET may be answered 304: `If-None-Match` names the resource as it is.
    public static func isUnchanged(_ head: HTTPRequestHead, current: EntityTag?) -> Bool {
        guard let current else { return false }
        let known = head.values("if-none-match").flatMap(FieldScanner.list).map(EntityTag.uncoded)
        let tag = uncoded(current.text)
        return known.contains { $0 == "*" || $0 == tag || $0 == "W/" + tag }
    }
}
