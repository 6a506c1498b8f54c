/// Durations as people write them in requests and definitions: `500ms`, `30s`, `5m`, `12h`, `7d`.
public enum DurationText {
    /// The longest there is: a hundred years.
    public static let maximum = Duration.seconds(100 * 366 * 86_400)

    /// A pattern of those from one millisecond to one minute, in their shortest digits.
    public static let upToAMinute =
        "^([1-9][0-9]{0,3}|[1-5][0-9]{4}|60000)ms$|^([1-9]|[1-5][0-9]|60)s$|^1m$"

    /// Nil unless `text` is a whole number with a unit, not beyond `maximum`.
    public static func parse(_ text: String) -> Duration? {
        let digits = text.utf8.prefix { $0 &- 0x30 < 10 }
        guard !digits.isEmpty, digits.count <= 15, let number = Int64(String(digits) ?? "") else { return nil }
        let duration: Duration
        switch text.dropFirst(digits.count) {
        case "ms": duration = .milliseconds(number)
        case "s": duration = .seconds(number)
        case "m": duration = .seconds(60) * number
        case "h": duration = .seconds(3_600) * number
        case "d": duration = .seconds(86_400) * number
        default: return nil
        }
        return duration <= maximum ? duration : nil
    }

    /// The duration in the largest unit that says it exactly, to the millisecond.
    public static func format(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let milliseconds = attoseconds / 1_000_000_000_000_000
        if milliseconds != 0 { return "\(seconds * 1000 + milliseconds)ms" }
        for (unit, size) in [("d", Int64(86_400)), ("h", 3_600), ("m", 60)] where seconds != 0 && seconds % size == 0 {
            return "\(seconds / size)\(unit)"
        }
        return "\(seconds)s"
    }
}

extension Duration: JSONFieldValue {
    public static var expectation: String { "a duration such as \"500ms\", \"30s\", \"5m\", \"12h\" or \"7d\"" }
    public static var placeholder: Duration { .zero }
    public static func read(_ value: JSONValue) -> Duration? { value.string.flatMap(DurationText.parse) }
}
