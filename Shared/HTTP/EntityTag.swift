/// A strong entity tag (RFC 9110, section 8.8.3) and the conditions made of it.
public struct EntityTag: Sendable, Hashable {
    /// The tag with its quotes, as it is sent.
    public let text: String

    /// The tag of a resource's version.
    public init(version: some BinaryInteger) {
        text = "\"v\(version)\""
    }

    /// Throws `precondition_failed` unless `If-Match` is absent or names the resource as it is; `current` is nil when
    /// there is none. `If-None-Match: *` asks that there be none.
    public static func check(_ head: HTTPRequestHead, current: EntityTag?) throws(Problem) {
        let expected = head.values("if-match").flatMap(FieldScanner.list)
        if !expected.isEmpty {
            guard let current else { throw Problem(.preconditionFailed, "the resource does not exist") }
            guard expected.contains("*") || expected.contains(current.text) else {
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
        let known = head.values("if-none-match").flatMap(FieldScanner.list)
        return known.contains { $0 == "*" || $0 == current.text || $0 == "W/" + current.text }
    }
}
