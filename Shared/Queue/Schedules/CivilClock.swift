private import CTimeZone

/// A named zone's clocks: what they show at a moment, and when they first show a time.
///
/// Moments are seconds since 1970-01-01 00:00 UTC. Local times are counted the same way, as if they were UTC.
@safe struct CivilClock {
    /// Lives as long as the process.
    private let pointer: OpaquePointer

    /// Nil when the system has no zone file of this name.
    init?(_ name: String) {
        guard let zone = unsafe mr_zone_find(name) else { return nil }
        unsafe pointer = zone
    }

    /// Seconds east of UTC.
    func offset(at moment: Int64) -> Int64 {
        Int64(unsafe mr_zone_offset(pointer, moment))
    }

    /// When a local time is first reached or passed: of one that occurs twice the first, of one that never occurs the
    /// end of its gap. Never falls as local times rise.
    func firstMoment(ofLocal local: Int64) -> Int64 {
        unsafe mr_zone_first_moment(pointer, local)
    }

    /// When the offset changes next after a moment; `Int64.max` when no change is known.
    func nextChange(after moment: Int64) -> Int64 {
        unsafe mr_zone_next_change(pointer, moment)
    }
}
