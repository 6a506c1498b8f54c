import FoundationEssentials
import JSON

/// By what a dataset's table is partitioned, and what of it is kept.
struct TimePartitioning: Sendable, Equatable {
    /// Partitions of a dataset, those near to today left out: who reads all of it locks each of them and its indexes.
    static let limit = 500

    /// The dataset's `time_column`.
    var column: String
    var grain: TimeGrain
    /// Nil: for good.
    var retention: Duration?

    init(column: String, grain: TimeGrain, retention: Duration? = nil) {
        self.column = column
        self.grain = grain
        self.retention = retention
    }

    /// Nil where the definition does not partition.
    init?(_ definition: JSONValue) {
        guard let grain = definition["partition"]?.string.flatMap(TimeGrain.init),
            let column = definition["time_column"]?.string
        else { return nil }
        self.column = column
        self.grain = grain
        retention = definition["retention"]?.string.flatMap(DurationText.parse)
    }

    /// The days for which there are, or may be made, partitions.
    struct Window: Sendable, Equatable {
        var today: Int32
        /// The first day of the oldest partition that is kept; rows before it have expired. Nil: all are.
        var kept: Int32?
        var last: Int32
    }

    /// - Parameter now: in seconds since 1970-01-01 UTC.
    func window(now: Double) -> Window {
        let today = Self.day(now)
        let kept = retention.map { grain.start(of: max(Self.day(now - $0.inSeconds), TimeGrain.firstDay)) }
        return Window(today: today, kept: kept, last: grain.end(of: grain.start(of: today + grain.daysAhead)) - 1)
    }

    var window: Window { window(now: Date().timeIntervalSince1970) }

    /// The partitions that are made before rows come for them: today's and the next.
    func ahead(_ window: Window) -> [Int32] {
        var starts = [grain.start(of: window.today)]
        for _ in 0..<grain.partitionsAhead { starts.append(grain.end(of: starts[starts.count - 1])) }
        return starts
    }

    private static func day(_ seconds: Double) -> Int32 {
        Int32((seconds / 86_400).rounded(.down)) + TimeGrain.firstDay
    }
}
