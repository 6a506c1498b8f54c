import EventLoop
import HTTP
import Observability

/// Counts, times and logs what one loop has answered. It is gathered on the loop and handed over at the end of each
/// turn, so that loops do not wait for each other at every request.
struct RequestRecorder: ~Copyable {
    private let metrics: RequestMetrics
    private var tallies: [RequestTally]
    /// Those of `tallies` that are not empty.
    private var counted: [Int] = []
    private var lines: LogLines

    init(_ metrics: RequestMetrics, _ logger: Logger) {
        self.metrics = metrics
        tallies = metrics.tallies()
        lines = LogLines(logger, "request.answered")
    }

    mutating func record(_ request: Request, _ response: Response, after time: LoopInterval) {
        let index = request.routeIndex ?? tallies.count - 1
        if tallies[index].isEmpty { counted.append(index) }
        metrics.record(index, response.status, after: time, in: &tallies)
        AccessLog.record(request, response, after: time, &lines)
    }

    /// Hands over what has been gathered.
    mutating func flush() {
        guard !counted.isEmpty else { return }
        for index in counted { metrics.add(&tallies[index], index) }
        counted.removeAll(keepingCapacity: true)
        lines.flush()
    }
}
