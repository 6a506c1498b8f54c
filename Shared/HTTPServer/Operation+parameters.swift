public import JSON

extension Operation.Parameter {
    /// `?limit=` of a list that `PageRequest` reads.
    public static func limit(_ maximum: Int = 1000, usual: Int = 100) -> Self {
        Self(
            "limit", .query, "Items a page.",
            schema: [
                "type": "integer", "minimum": 1, "maximum": .number(maximum), "default": .number(usual),
            ])
    }

    /// `?cursor=` of a list that `PageRequest` reads.
    public static let cursor = Self(
        "cursor", .query, "The `next_cursor` of the page before: opaque, and of this list only.",
        schema: ["type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 4096])

    public static let ifMatch = Self(
        "If-Match", .header, "The `ETag` that the change is made to, or `*`; 412 when the resource is at another.",
        example: "\"v1\"")

    public static let ifNoneMatch = Self(
        "If-None-Match", .header, "The `ETag` that is known; 304 when the resource is still at it.", example: "\"v1\"")

    /// What `Request.idempotencyKey` reads.
    public static func idempotencyKey(_ description: String) -> Self {
        Self(
            "Idempotency-Key", .header, description,
            schema: ["type": "string", "minLength": 1, "maxLength": .number(Request.idempotencyKeyLimit)])
    }

    /// `?confirm=` of what `Request.requireConfirmation` guards.
    public static func confirm(_ kind: String, schema: JSONValue, example: JSONValue) -> Self {
        Self("confirm", .query, "The \(kind)'s name once more.", schema: schema, required: true, example: example)
    }
}

extension Operation.Header {
    public static let entityTag = Self("ETag", "The version, for `If-Match`.", example: "\"v1\"")

    public static let idempotentReplayed = Self(
        "Idempotent-Replayed", "`true` where this is the answer to an earlier request with the same key.",
        schema: ["type": "string", "const": "true"], required: false)
}
