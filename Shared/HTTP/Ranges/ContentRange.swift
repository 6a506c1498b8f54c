/// The field `Content-Range` (RFC 9110, section 14.4).
public enum ContentRange {
    /// Which octets of how many an answer or a part has.
    public static func text(_ range: Range<Int>, of length: Int) -> String {
        "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(length)"
    }

    /// How many octets there are, in an answer 416.
    public static func unsatisfied(length: Int) -> String { "bytes */\(length)" }
}
