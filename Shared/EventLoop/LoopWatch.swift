public import Observability

/// How jobs are noticed that hold an event loop up: while one runs, nothing else on the loop does.
public struct LoopWatchSettings: Sendable {
    /// What is too long.
    public static let standardLimit = Duration.milliseconds(50)
    /// Between two reports of one loop.
    public static let standardInterval = Duration.seconds(1)

    let limit: LoopInterval
    let interval: LoopInterval
    let logger: Logger

    public init(
        limit: Duration = standardLimit, interval: Duration = standardInterval, logger: Logger
    ) {
        self.limit = LoopInterval(limit)
        self.interval = LoopInterval(interval)
        self.logger = logger
    }
}

/// Watches one loop's jobs, on its thread. The time is the clock's on the wall: a thread that the system gave no
/// processor to is as late as one whose job took long.
final class LoopWatch {
    private let loop: String
    private let settings: LoopWatchSettings
    private var nextReport: LoopTime
    /// Jobs that ran too long and were not reported one by one.
    private var unreported = 0

    init(_ loop: String, _ settings: LoopWatchSettings) {
        self.loop = loop
        self.settings = settings
        nextReport = .now
    }

    /// A job that began then has ended; returns when.
    func jobEnded(since began: LoopTime) -> LoopTime {
        let now = LoopTime.now
        if now - began > settings.limit { report(now - began, at: now) }
        return now
    }

    private func report(_ time: LoopInterval, at now: LoopTime) {
        guard now >= nextReport else {
            unreported += 1
            return
        }
        settings.logger.warning(
            "loop.held_up",
            [
                "loop.name": .string(loop), "job.duration": .duration(.nanoseconds(time.nanoseconds)),
                "loop.unreported": .int(unreported),
            ])
        nextReport = now + settings.interval
        unreported = 0
    }
}
