/// How wide the partitions of a dataset are. Days are counted from 2000-01-01, in UTC.
enum TimeGrain: String, Sendable, CaseIterable {
    case day, month

    /// 1970-01-01: no partition begins before.
    static let firstDay: Int32 = -10_957

    /// The last day for which partitions are made, counted from today: a year, or ten.
    var daysAhead: Int32 { self == .day ? 366 : 3_660 }

    /// Partitions that are made ahead of today's.
    var partitionsAhead: Int { self == .day ? 3 : 1 }

    /// Partitions so near to today are made however many there are.
    var nearDays: Int32 { self == .day ? 31 : 366 }

    /// The longest that a partition may be, in days.
    var longestDays: Int32 { self == .day ? 1 : 31 }

    /// The first day of the partition that a day lies in. The day is no earlier than ``firstDay``.
    func start(of day: Int32) -> Int32 {
        switch self {
        case .day: day
        case .month: Self.months[Self.month(of: day)]
        }
    }

    /// The day after the last one of the partition that begins with a day.
    func end(of start: Int32) -> Int32 {
        switch self {
        case .day: start + 1
        case .month: Self.months[Self.month(of: start) + 1]
        }
    }

    /// The first days of the months from 1970 to 2399: what is made for lies well within.
    private static let months: [Int32] = {
        var day = firstDay
        var starts: [Int32] = []
        for year in 1970..<2400 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            for length: Int32 in [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                starts.append(day)
                day += length
            }
        }
        return starts
    }()

    /// The place of the month that a day lies in.
    private static func month(of day: Int32) -> Int {
        var (low, high) = (0, months.count - 2)
        while low < high {
            let middle = (low + high + 1) / 2
            if months[middle] <= day { low = middle } else { high = middle - 1 }
        }
        return low
    }
}
