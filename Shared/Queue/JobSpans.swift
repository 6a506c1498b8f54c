import Observability
import Synchronization

/// The spans of a lease's jobs: one each for those whose trace is recorded, from the group's start to the job's end.
///
/// The handler gets such a job with its own place in the trace, so that what the job enqueues follows from it.
final class JobSpans: Sendable {
    /// Arguments longer than this are not shown; most are a few ids.
    private static let maximumArguments = TraceSpan.maximumValue

    private let tracer: Tracer
    private let queue: String
    private let open = Mutex<[Job.Key: TraceSpan]>([:])

    init(_ tracer: Tracer, queue: String) {
        self.tracer = tracer
        self.queue = queue
    }

    /// Begins the jobs' spans; returns the jobs as their handler is to get them.
    func begin(_ jobs: [Job]) -> [Job] {
        let now = Tracer.now()
        var begun = jobs
        for place in jobs.indices {
            guard let parent = jobs[place].trace.flatMap(TraceContext.init), parent.isSampled else { continue }
            let span = TraceSpan(
                jobs[place].kind, .consumer, parent.child(), parent: parent.spanID, start: now,
                attributes: attributes(jobs[place]))
            begun[place].trace = span.context.traceparent
            open.withLock { $0[jobs[place].key] = span }
        }
        return begun
    }

    private func attributes(_ job: Job) -> [(key: String, value: LogValue)] {
        var attributes: [(key: String, value: LogValue)] = [
            ("messaging.system", "millrace"), ("messaging.destination.name", .string(queue)),
            ("messaging.message.id", .string(String(job.id))), ("millrace.job.attempt", .int(Int(job.attempt))),
            ("millrace.workspace_id", .string(String(job.workspace))),
        ]
        if job.arguments.count <= Self.maximumArguments {
            attributes.append(("millrace.job.arguments", .string(String(decoding: job.arguments, as: UTF8.self))))
        }
        return attributes
    }

    /// The place of the first of these jobs that has a span still, or of the first of all where none is named.
    func trace(of jobs: [Job]) -> TraceContext? {
        let spans = open.withLock { $0 }
        guard !jobs.isEmpty else { return spans.min { $0.key.job < $1.key.job }?.value.context }
        return jobs.lazy.compactMap { spans[$0.key]?.context }.first
    }

    /// Ends the spans of jobs; those that have none, or have ended, are passed over.
    func end(_ jobs: [Job], _ status: TraceSpan.Status = .unset) {
        end(open.withLock { open in jobs.compactMap { open.removeValue(forKey: $0.key) } }, status)
    }

    /// The handler has let go of all of them: what is open still was cancelled, or its lease is lost.
    func endRest() {
        let rest = open.withLock { open in
            defer { open = [:] }
            return Array(open.values)
        }
        end(rest, .failed("not_settled"))
    }

    private func end(_ spans: [TraceSpan], _ status: TraceSpan.Status) {
        guard !spans.isEmpty else { return }
        let now = Tracer.now()
        tracer.record(
            spans.map { span in
                var span = span
                span.end = now
                span.status = status
                return span
            })
    }
}
