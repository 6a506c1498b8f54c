import Postgres
import Records

/// What a user asks: a statement, its parameters, and how the answer is to look.
struct UserQuery: Sendable {
    var sql: String
    var parameters: [PostgresValue] = []
    var layout = AnswerLayout.table
    /// Bounds the query from its start until its answer is taken.
    var timeout = Self.usualTimeout
    /// The most rows of the answer; nil for all.
    var limit: Int?
    var numbers = NumberStyle.plain
    /// Bytes up to which the answer is taken whole; a longer one is a stream.
    var wholeSize = Self.usualWholeSize

    static let usualWholeSize = 256 * 1024
    static let usualTimeout = Duration.seconds(30)
    static let longestTimeout = Duration.seconds(60)
    /// Rows of an answer in JSON, where the request says nothing, and at most.
    static let usualLimit = 10_000
    static let largestLimit = 10_000_000
}
