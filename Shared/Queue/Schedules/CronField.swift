/// One of the five fields of a cron expression, in their order.
public enum CronField: String, Sendable, CaseIterable {
    case minute, hour
    case dayOfMonth = "day of month"
    case month
    case dayOfWeek = "day of week"

    /// The numbers that may be written; 7 is Sunday as 0 is.
    var range: ClosedRange<Int> {
        switch self {
        case .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .dayOfWeek: 0...7
        }
    }

    /// What `*` stands for.
    var all: ClosedRange<Int> { self == .dayOfWeek ? 0...6 : range }

    /// Names of the numbers from `range.lowerBound` on, in lower case.
    var names: [String] {
        switch self {
        case .month: ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
        case .dayOfWeek: ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
        default: []
        }
    }

    /// What a value must be, for messages.
    var expectation: String {
        let numbers = "\(range.lowerBound) to \(range.upperBound)"
        guard let first = names.first, let last = names.last else { return numbers }
        return "\(numbers) or \(first.uppercased()) to \(last.uppercased())"
    }
}

/// What is wrong with a cron expression.
public struct CronFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// Nil when it is not about one field.
    public let field: CronField?
    public let message: String

    init(_ field: CronField? = nil, _ message: String) {
        self.field = field
        self.message = message
    }

    /// Names the field: `hour: 24 is not 0 to 23`.
    public var description: String { field.map { "\($0.rawValue): \(message)" } ?? message }
}
