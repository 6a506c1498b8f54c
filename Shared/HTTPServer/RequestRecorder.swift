import EventLoop
import HTTP
import Observability

/// Counts, times, logs and traces what one loop has answered. It is gathered on the loop and handed over at the end of
/// each turn, so that loops do not wait for each other at every request.
struct RequestRecorder: ~Copyable {
    private let metrics: RequestMetrics
    private var tallies: [RequestTally]
    /// Those of `tallies` that are listed.
    private var counted: [Int] = []
    private var lines: LogLines
    private var spans: [TraceSpan] = []
    private var tracer: Tracer?

    init(_ metrics: RequestMetrics, _ logger: Logger) {
        self.metrics = metrics
        tallies = metrics.tallies()
        lines = LogLines(logger, "request.answered")
    }

    /// The head of an answer is there, `time` after the request's.
    mutating func answered(_ request: Request, _ status: HTTPStatus, after time: LoopInterval) {
        metrics.record(index(of: request), status, after: time, in: &tallies)
    }

    /// A request is over, `time` after its head came at `start`.
    mutating func ended(
        _ request: Request, _ status: HTTPStatus, _ sizes: RequestSizes, since start: LoopTime, after time: LoopInterval
    ) {
        metrics.record(index(of: request), sizes, in: &tallies)
        AccessLog.record(request, status, sizes, after: time, &lines)
        if request.context.trace.isSampled, let tracer = request.context.origin.tracer {
            self.tracer = tracer
            RequestSpan.make(request, status, sizes, since: start, after: time).map { spans.append($0) }
        }
    }

    private mutating func index(of request: Request) -> Int {
        let index = request.routeIndex ?? tallies.count - 1
        if !tallies[index].isListed {
            tallies[index].isListed = true
            counted.append(index)
        }
        return index
    }

    /// Hands over what has been gathered.
    mutating func flush() {
        guard !counted.isEmpty else { return }
        for index in counted { metrics.add(&tallies[index], index) }
        counted.removeAll(keepingCapacity: true)
        lines.flush()
        guard !spans.isEmpty else { return }
        tracer?.record(spans)
        spans.removeAll(keepingCapacity: true)
    }
}
