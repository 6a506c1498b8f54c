/// What tells one version of a resource's content from another (RFC 9110, section 8.8).
public struct Validators: Sendable, Hashable {
    /// Nil where the version cannot be told from the next one; then no condition that names a tag holds.
    public let tag: EntityTag?
    /// Seconds since 1970; nil where no time of modification is known.
    public let modified: Int64?
    private let isSettled: Bool

    /// - Parameter isSettled: whether the second of the modification has passed, so that every later modification has
    ///   another date: then the date is strong (section 8.8.2.2). One that is not is never sent, for a client that
    ///   had it could not be told of a second change within that second.
    public init(tag: EntityTag?, modified: Int64? = nil, isSettled: Bool = false) {
        self.tag = tag
        self.modified = modified
        self.isSettled = isSettled
    }

    /// The date to send as `Last-Modified`.
    public var lastModified: Int64? { isSettled ? modified : nil }
}
