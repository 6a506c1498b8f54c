import JSON

/// An endpoint as it is put: a statement with parameters, and how its answers are kept and bounded.
struct EndpointDefinition: Sendable, Equatable {
    static let longestTTL = Duration.seconds(86_400)
    static let maximumDescription = 1000

    var sql: String
    var description: String?
    /// How long an answer may be given again, in whole seconds; zero never.
    var cacheTTL: Duration
    /// Bounds a call from its start until its answer is taken.
    var timeout: Duration
    /// The most rows of an answer in JSON.
    var limit: Int

    /// Reads a PUT's body. Throws every fault with its path; what the statement says is another question.
    init(_ fields: JSONFields) throws(FieldFaults) {
        sql = fields.required("sql", String.self)
        if sql.utf8.count > QueryGuard.maximumLength {
            fields.fault("sql", "must have at most \(QueryGuard.maximumLength) bytes")
        }
        description = fields.optional("description", String.self)
        if let description, description.utf8.count > Self.maximumDescription {
            fields.fault("description", "must have at most \(Self.maximumDescription) bytes")
        }
        cacheTTL = fields.optional("cache_ttl", Duration.self) ?? .zero
        if cacheTTL > Self.longestTTL || cacheTTL.components.attoseconds != 0 {
            fields.fault("cache_ttl", "must be at most \(DurationText.format(Self.longestTTL)), in whole seconds")
        }
        timeout = fields.optional("timeout", Duration.self) ?? UserQuery.usualTimeout
        if timeout <= .zero || timeout > UserQuery.longestTimeout {
            fields.fault("timeout", "must be 1ms to \(DurationText.format(UserQuery.longestTimeout))")
        }
        limit = fields.optional("limit", Int.self) ?? UserQuery.usualLimit
        if !(1...UserQuery.largestLimit).contains(limit) {
            fields.fault("limit", "must be 1 to \(UserQuery.largestLimit)")
        }
        try fields.finish()
    }

    /// Reads what `json` has written.
    init(stored: [UInt8]) throws {
        try self.init(JSONFields(JSONValue.parse(stored)))
    }

    /// With everything that was left out.
    var members: [(String, JSONValue)] {
        [
            ("sql", .string(sql)), ("description", description.map { .string($0) } ?? .null),
            ("cache_ttl", .string(DurationText.format(cacheTTL))), ("timeout", .string(DurationText.format(timeout))),
            ("limit", .number(limit)),
        ]
    }

    var json: JSONValue { .object(JSONObject(members)) }
}
