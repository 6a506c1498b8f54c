import HTTP
import Records

/// What a profile is asked of: read from a request's query.
struct ProfileQuestion: Sendable {
    /// Which of a dataset's rows are looked at.
    enum Rows: Sendable, Equatable {
        /// All of a dataset of up to ``ProfileQuestion/wholeLimit`` rows, else a sample.
        case usual
        case all
        /// About so many, if there are more.
        case sample(Int)
    }

    static let wholeLimit = 1_000_000
    static let usualSample = 100_000
    static let samples = 1_000...10_000_000
    static let topLimits = 0...100
    static let usualTop = 10

    var rows = Rows.usual
    /// nil for all.
    var columns: [String]?
    var isCorrelated = true
    /// The most values of a column that are named.
    var top = Self.usualTop
    var numbers = NumberStyle.plain
    var timeout = UserQuery.usualTimeout

    /// Throws `invalid_parameter` with everything that is wrong.
    init(_ query: QueryFields) throws(Problem) {
        if let text = query.string("sample") {
            if text == "all" {
                rows = .all
            } else if let count = Int(text), Self.samples.contains(count) {
                rows = .sample(count)
            } else {
                query.fault("sample", "expected \"all\", or rows from 1,000 to 10,000,000")
            }
        }
        columns = query.list("columns")
        if let columns, columns.isEmpty { query.fault("columns", "names no column") }
        if let columns, Set(columns).count < columns.count { query.fault("columns", "names a column twice") }
        isCorrelated = query.bool("correlations") ?? true
        top = query.int("top", in: Self.topLimits) ?? Self.usualTop
        numbers = query.value("numbers", oneOf: QueryNumbers.self)?.style ?? .plain
        timeout = query.duration("timeout", maximum: UserQuery.longestTimeout) ?? UserQuery.usualTimeout
        if timeout <= .zero { query.fault("timeout", "expected more than 0") }
        try query.finish()
    }
}
