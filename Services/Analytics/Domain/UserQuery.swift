import Postgres
import Records

/// What a user asks: a statement, its parameters, and how the answer is to look.
struct UserQuery: Sendable {
    enum Format: String, Sendable, CaseIterable { case json, csv, ndjson }

    var sql: String
    var parameters: [PostgresValue] = []
    var format = Format.json
    /// Bounds the query from its start until its answer is taken.
    var timeout = Self.usualTimeout
    /// The most rows of the answer; nil for all.
    var limit: Int?
    var numbers = NumberStyle.plain

    static let usualTimeout = Duration.seconds(30)
    static let longestTimeout = Duration.seconds(60)
    /// Rows of an answer in JSON, where the request says nothing, and at most.
    static let usualLimit = 10_000
    static let largestLimit = 1_000_000
}
