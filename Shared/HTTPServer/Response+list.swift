public import JSON

extension Response {
    /// One page of a list: `{"items": […], "next_cursor": …}`, with null after the last page.
    public static func list(_ items: [JSONValue], nextCursor: String?) -> Response {
        list(nextCursor: nextCursor) { writer in
            for item in items { writer.value(item) }
        }
    }

    /// One page whose items are written one after the other.
    public static func list(nextCursor: String?, items: (inout JSONWriter) throws -> Void) rethrows -> Response {
        try .json { writer in
            try writer.object { writer in
                writer.key("items")
                try writer.array(items)
                writer.member("next_cursor", nextCursor)
            }
        }
    }
}
