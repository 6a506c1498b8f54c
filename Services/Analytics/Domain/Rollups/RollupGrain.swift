/// How long a rollup's buckets are. Days begin at midnight UTC, weeks on Mondays.
enum RollupGrain: String, CaseIterable, Sendable {
    case second, minute, hour, day, week, month, quarter, year

    /// Whether buckets of this length are made up of whole ones of `finer`.
    func merges(_ finer: RollupGrain) -> Bool {
        if self == finer { return true }
        return switch self {
        case .second: false
        case .minute: finer == .second
        case .hour: [.second, .minute].contains(finer)
        case .day: [.second, .minute, .hour].contains(finer)
        case .week, .month: [.second, .minute, .hour, .day].contains(finer)
        case .quarter: [.second, .minute, .hour, .day, .month].contains(finer)
        case .year: [.second, .minute, .hour, .day, .month, .quarter].contains(finer)
        }
    }

    /// The length as PostgreSQL's interval.
    var interval: String { self == .quarter ? "3 months" : "1 \(rawValue)" }

    /// The shortest such a bucket is, in seconds.
    var seconds: Int {
        switch self {
        case .second: 1
        case .minute: 60
        case .hour: 3600
        case .day: 86_400
        case .week: 604_800
        case .month: 28 * 86_400
        case .quarter: 90 * 86_400
        case .year: 365 * 86_400
        }
    }
}
