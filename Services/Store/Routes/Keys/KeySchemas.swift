import Access
import HTTPServer
import JSON

/// What requests and answers about keys hold, as JSON Schema.
enum KeySchemas {
    /// Known scopes, wildcards of them, and those that can be narrowed with a pattern behind a slash.
    private static let scope: JSONValue = {
        let kinds = Set(
            ScopeSet.known.compactMap { $0.split(separator: ":").count == 2 ? $0.split(separator: ":")[0] : nil })
        let whole = ScopeSet.known + kinds.sorted().map { "\($0):[*]" }
        let narrow =
            ScopeSet.narrowable
            + kinds.sorted().filter { kind in
                ScopeSet.known.filter { $0.hasPrefix("\(kind):") }.allSatisfy(ScopeSet.narrowable.contains)
            }.map { "\($0):[*]" }
        let pattern = "[a-z0-9_*]{1,\(NamePattern.longest)}"
        return [
            "type": "string",
            "pattern": .string("^(\(whole.joined(separator: "|")))$|^(\(narrow.joined(separator: "|")))/\(pattern)$"),
        ]
    }()

    private static let limits: [(String, JSONValue)] = [
        ("requests_per_second", Schema.integer(KeyLimits.rates)),
        ("requests_per_day", Schema.integer(KeyLimits.quotas)), ("bytes_per_day", Schema.integer(KeyLimits.quotas)),
    ]

    static let workspaceName: JSONValue = ["type": "string", "pattern": "^[a-z][a-z0-9_]{0,39}$"]

    /// The body of `POST /v1/keys`.
    static let request = Schema.request(
        [
            (
                "name",
                [
                    "type": "string", "pattern": #"^[^\u0000]+$"#, "minLength": 1,
                    "maxLength": .number(KeyRequest.longestName),
                ]
            ),
            ("scopes", Schema.array(of: scope, count: 1...ScopeSet.maximumCount)), ("expires_in", Schema.duration),
            ("limits", Schema.request(limits)), ("workspace", workspaceName),
        ], required: ["name", "scopes"])

    static let rotation = Schema.request([("overlap", Schema.duration)])

    private static let members: [(String, JSONValue)] = [
        ("id", Schema.id), ("name", Schema.string), ("workspace", workspaceName), ("prefix", Schema.string),
        ("scopes", Schema.array(of: Schema.string)),
        ("limits", Schema.answer(limits, optional: limits.map(\.0))), ("state", Schema.oneOf(KeyRecord.State.self)),
        ("version", Schema.count), ("replaces", Schema.nullable(Schema.id)), ("made_by", Schema.nullable(Schema.id)),
        ("created_at", Schema.timestamp), ("expires_at", Schema.nullable(Schema.timestamp)),
        ("revoked_at", Schema.nullable(Schema.timestamp)), ("last_used_at", Schema.nullable(Schema.timestamp)),
    ]

    static let key = Schema.answer(members)
    /// With the key's text.
    static let made = Schema.answer(members + [("key", Schema.nullable(Schema.string))])
}
