import Glibc

/// The wall clock, as log lines show it.
public enum WallClock {
    /// Seconds since 1970-01-01 UTC.
    public static func secondsSince1970() -> Double { Double(microsecondsSince1970()) * 1e-6 }

    /// Microseconds since 1970-01-01 UTC. `clock_gettime` cannot fail for this clock.
    static func microsecondsSince1970() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }

    /// The same in nanoseconds, as spans have it.
    static func nanosecondsSince1970() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
