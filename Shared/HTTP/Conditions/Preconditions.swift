/// The conditions of a request, evaluated as RFC 9110, section 13.2.2, orders them.
///
/// They count only where the answer without them would be 2xx: a resource that is not there stays 404.
public struct Preconditions: Sendable {
    public enum Outcome: Sendable, Hashable {
        /// The request is to be carried out.
        case hold
        /// The client has what it would be given: 304.
        case notModified
        /// 412; the name of the field that does not hold.
        case failed(String)
    }

    private let head: HTTPRequestHead
    private let now: Int64

    /// - Parameter now: seconds since 1970, which tell the century of a date in the obsolete format.
    public init(_ head: HTTPRequestHead, now: Int64) {
        self.head = head
        self.now = now
    }

    /// Whether the request may be carried out on the resource as it is.
    ///
    /// `If-Match` with a tag of another content coding holds, for that is the same version; but not where a range is
    /// asked for, whose octets are those of one coding.
    public func evaluate(_ validators: Validators) -> Outcome {
        if let condition = EntityTagCondition(head, "if-match") {
            let inAnyCoding = head.method != .get || !head.contains("range")
            guard condition.matchesStrongly(validators.tag, inAnyCoding: inAnyCoding) else {
                return .failed("If-Match")
            }
        } else if let date = date("if-unmodified-since"), let modified = validators.modified, modified > date {
            return .failed("If-Unmodified-Since")
        }
        let isRead = head.method == .get || head.method == .head
        if let condition = EntityTagCondition(head, "if-none-match") {
            guard condition.matchesWeakly(validators.tag) else { return .hold }
            return isRead ? .notModified : .failed("If-None-Match")
        }
        if isRead, let date = date("if-modified-since"), let modified = validators.lastModified, modified <= date {
            return .notModified
        }
        return .hold
    }

    /// Whether `Range` counts: `If-Range` is absent, or names the very octets there are (section 13.1.5). A weak tag, a
    /// tag of another coding and a date that may stand for two versions do not.
    public func allowRange(_ validators: Validators) -> Bool {
        guard head.contains("if-range") else { return true }
        guard let octets = head.octets(ofOnly: "if-range") else { return false }
        let text = String(decoding: octets, as: UTF8.self)
        if let tag = validators.tag, tag.text == text { return true }
        guard let date = HTTPDate.parse(text, now: now) else { return false }
        return date == validators.lastModified
    }

    /// Nil where there is no date: a field that is repeated or malformed is ignored.
    private func date(_ name: String) -> Int64? {
        head.octets(ofOnly: name).flatMap { HTTPDate.parse(String(decoding: $0, as: UTF8.self), now: now) }
    }
}
