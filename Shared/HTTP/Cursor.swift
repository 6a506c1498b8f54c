public import JSON

/// The opaque place in a list where the next page begins: the sort key of the last item that was given.
public struct Cursor: Sendable, Hashable {
    /// What the next page comes after, in the list's order.
    public let values: [JSONValue]

    public init(_ values: [JSONValue]) {
        self.values = values
    }

    /// The text for `next_cursor`. `list` names the list and its order, so that it serves no other.
    public func text(of list: String) -> String {
        Base64URL.encode(JSONValue.array([.string(list)] + values).serialized())
    }

    /// Throws `invalid_cursor` unless `text` is a cursor of this list with as many values.
    public init(_ text: String, of list: String, count: Int) throws(Problem) {
        guard text.utf8.count <= 4096, let bytes = Base64URL.decode(text), let read = try? JSONValue.parse(bytes),
            let items = read.array, items.count == count + 1, items[0].string == list
        else { throw Problem(.invalidCursor, "the cursor is not one that this list gave") }
        values = Array(items.dropFirst())
    }
}
