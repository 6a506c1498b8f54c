/// The values that one field of a cron expression allows, 0 to 59.
struct CronSet: Sendable, Hashable {
    private(set) var bits: UInt64 = 0
    /// The field begins with `*`: it does not restrict, or only thins out.
    var isOpen = false

    mutating func insert(_ value: Int) { bits |= 1 << UInt64(value) }

    func contains(_ value: Int) -> Bool { bits >> UInt64(value) & 1 == 1 }

    /// The smallest value that is not below `bound`, which may be 0 to 63.
    func first(from bound: Int) -> Int? {
        let rest = bits >> UInt64(bound)
        return rest == 0 ? nil : bound + rest.trailingZeroBitCount
    }
}
