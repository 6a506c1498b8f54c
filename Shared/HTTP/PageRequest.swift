public import JSON

/// The part of a list that a request asks for: `?limit=` and `?cursor=`.
public struct PageRequest: Sendable, Hashable {
    private let list: String
    /// The most items to give.
    public let limit: Int
    /// Nil for the first page.
    public let cursor: Cursor?

    /// The most items of a page, where a list does not say less.
    public static let maximum = 1000

    /// Reads both parameters; a limit beyond `maximum` is a fault, a cursor of another list throws `invalid_cursor`.
    ///
    /// - Parameters:
    ///   - list: names the list and its order in its cursors.
    ///   - keys: how many values a cursor of this list holds.
    ///   - ceiling: what no page exceeds, whatever limit is asked for.
    public init(
        _ query: QueryFields, list: String, keys: Int = 1, defaultLimit: Int = 100, maximum: Int = Self.maximum,
        ceiling: Int = .max
    ) throws(Problem) {
        self.list = list
        limit = min(query.int("limit", in: 1...maximum) ?? defaultLimit, ceiling)
        if let text = query.string("cursor") {
            cursor = try Cursor(text, of: list, count: keys)
        } else {
            cursor = nil
        }
    }

    /// How many items to look up: one more than is given tells whether there is a next page.
    public var lookup: Int32 { Int32(limit) + 1 }

    /// The `next_cursor` of a page that ended at a place which no item of it has.
    public func cursor(at key: [JSONValue]) -> String { Cursor(key).text(of: list) }

    /// The page out of what was looked up, and the `next_cursor` behind it; nil for the last page.
    ///
    /// `hasMore` where something else than the number of items ended the page. `key` is an item's place in the list.
    public func page<Item>(
        of found: [Item], hasMore: Bool = false, key: (Item) -> [JSONValue]
    ) -> (items: ArraySlice<Item>, next: String?) {
        let items = found.prefix(limit)
        let next = found.count > limit || hasMore ? items.last.map { Cursor(key($0)).text(of: list) } : nil
        return (items, next)
    }
}
