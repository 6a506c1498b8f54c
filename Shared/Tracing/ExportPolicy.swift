import HTTP

/// What an answer of a collector means, as OTLP over HTTP has it.
enum ExportPolicy {
    enum Verdict: Equatable {
        /// Taken, but for so many spans.
        case taken(rejected: Int)
        /// To be sent again, not before the time if one is named.
        case again(after: Duration?)
        /// Never to be sent again.
        case refused
    }

    /// Times that spans are sent.
    static let attempts = 6
    private static let firstPause = Duration.seconds(1)
    private static let longestPause = Duration.seconds(30)

    static func verdict(_ status: HTTPStatus, retryAfter: String?, rejected: Int) -> Verdict {
        switch status.code {
        case 200..<300: .taken(rejected: rejected)
        case 429, 502, 503, 504: .again(after: retryAfter.flatMap { Int($0) }.map { .seconds(max(0, $0)) })
        default: .refused
        }
    }

    /// Before the attempt after so many: doubled each time, and shortened at random, so that processes spread; longer
    /// where the collector says so.
    static func pause(after attempts: Int, asked: Duration?, random: Double) -> Duration {
        let bound = min(firstPause * (1 << min(attempts - 1, 10)), longestPause)
        return min(max(bound * (0.5 + random / 2), asked ?? .zero), longestPause)
    }
}
