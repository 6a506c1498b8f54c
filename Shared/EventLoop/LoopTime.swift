private import CLinux

/// A point in time on the loops' clock, which is monotonic and stands still while the machine sleeps.
///
/// It is 64 bits wide where `ContinuousClock.Instant` is 128 and has no layout known to the compiler: arithmetic on it
/// costs next to nothing, which matters to what happens several times a request.
public struct LoopTime: Hashable, Comparable, Sendable {
    private let nanoseconds: Int64

    private init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Later than every other.
    public static let never = LoopTime(nanoseconds: .max)

    public static var now: LoopTime { LoopTime(nanoseconds: clinux_monotonic_nanoseconds()) }

    /// The same moment on this clock, or one just after it.
    public init(_ instant: ContinuousClock.Instant) {
        let left = LoopInterval(instant - .now)
        self = LoopTime.now + left
    }

    public static func < (left: LoopTime, right: LoopTime) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (time: LoopTime, interval: LoopInterval) -> LoopTime {
        let (sum, overflow) = time.nanoseconds.addingReportingOverflow(interval.nanoseconds)
        return overflow ? never : LoopTime(nanoseconds: sum)
    }

    /// The time from `right` to `left`; `left` is not `never`.
    public static func - (left: LoopTime, right: LoopTime) -> LoopInterval {
        LoopInterval(nanoseconds: left.nanoseconds - right.nanoseconds)
    }
}

/// A span of the loops' clock.
public struct LoopInterval: Hashable, Comparable, Sendable {
    public let nanoseconds: Int64

    public static let zero = LoopInterval(nanoseconds: 0)

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// What is beyond 292 years counts as that.
    public init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow {
            nanoseconds = seconds < 0 ? .min : .max
        } else {
            nanoseconds = whole &+ attoseconds / 1_000_000_000
        }
    }

    public static func < (left: LoopInterval, right: LoopInterval) -> Bool { left.nanoseconds < right.nanoseconds }

    public static func + (left: LoopInterval, right: LoopInterval) -> LoopInterval {
        let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
        return LoopInterval(nanoseconds: overflow ? .max : sum)
    }

    public static func - (left: LoopInterval, right: LoopInterval) -> LoopInterval {
        LoopInterval(nanoseconds: left.nanoseconds &- right.nanoseconds)
    }
}
