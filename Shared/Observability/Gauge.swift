import Synchronization

/// A number that rises and falls.
public final class Gauge: Sendable {
    private let state = AtomicDouble()

    init() {}

    public func set(_ value: Double) {
        state.store(value)
    }

    public func set(_ value: Int) {
        state.store(Double(value))
    }

    public func add(_ amount: Double) {
        state.add(amount)
    }

    public func add(_ amount: Int = 1) {
        state.add(Double(amount))
    }

    public var value: Double {
        state.load()
    }
}

/// A double that many threads add to, without a lock.
struct AtomicDouble: ~Copyable {
    private let bits = Atomic<UInt64>(0)

    func load() -> Double {
        Double(bitPattern: bits.load(ordering: .relaxed))
    }

    func store(_ value: Double) {
        bits.store(value.bitPattern, ordering: .relaxed)
    }

    func add(_ amount: Double) {
        var seen = bits.load(ordering: .relaxed)
        while true {
            let sum = (Double(bitPattern: seen) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
            if exchanged { return }
            seen = original
        }
    }
}
