/// The part of a list that a request asks for: `?limit=` and `?cursor=`.
public struct PageRequest: Sendable, Hashable {
    /// The most items to give.
    public let limit: Int
    /// Nil for the first page.
    public let cursor: Cursor?

    /// Reads both parameters; a limit beyond `maximum` is a fault, a cursor of another list throws `invalid_cursor`.
    ///
    /// - Parameters:
    ///   - list: names the list and its order in its cursors.
    ///   - keys: how many values a cursor of this list holds.
    public init(
        _ query: QueryFields, list: String, keys: Int = 1, defaultLimit: Int = 100, maximum: Int = 1000
    ) throws(Problem) {
        limit = query.int("limit", in: 1...maximum) ?? defaultLimit
        if let text = query.string("cursor") {
            cursor = try Cursor(text, of: list, count: keys)
        } else {
            cursor = nil
        }
    }
}
