/// One metadata value of a log line.
///
/// Numbers are written as JSON numbers, NaN and the infinities as strings, durations as seconds.
/// A secret goes in as `.redacted`, so that its key still shows that there was one.
public enum LogValue: Sendable, Equatable {
    case string(String)
    case int(Int)
    case double(Double)
    case bool(Bool)
    case duration(Duration)
    case redacted

    /// The text of any value, for errors above all.
    public static func describing(_ value: some Any) -> LogValue {
        .string(String(describing: value))
    }
}

extension LogValue: ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) {
        self = .string(value)
    }
}

extension LogValue: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int) {
        self = .int(value)
    }
}

extension LogValue: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) {
        self = .double(value)
    }
}

extension LogValue: ExpressibleByBooleanLiteral {
    public init(booleanLiteral value: Bool) {
        self = .bool(value)
    }
}
