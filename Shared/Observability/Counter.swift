import Synchronization

/// A number that only grows, from zero at the start of the process. One relaxed atomic addition an update.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    init() {}

    /// Adds `amount`, which must not be negative; a negative one is ignored, for a counter never falls.
    @inline(__always)
    public func add(_ amount: Int = 1) {
        if amount > 0 { count.wrappingAdd(amount, ordering: .relaxed) }
    }

    public var value: Int {
        count.load(ordering: .relaxed)
    }
}
