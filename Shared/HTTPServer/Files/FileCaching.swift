/// What `Cache-Control` says of files (RFC 9111, section 5.2).
public struct FileCaching: Sendable, Hashable {
    /// To be kept, and asked about each time: a 304 costs a round trip and no content.
    public static let revalidate = FileCaching("no-cache")
    /// For names that hold a hash of their content: kept for a year without asking.
    public static let immutable = FileCaching("public, max-age=31536000, immutable")

    let text: String

    public init(_ text: String) {
        self.text = text
    }
}
