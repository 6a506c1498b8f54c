/// SplitMix64 (Steele, Lea, Flood, 2014): a history is what its seed says.
struct SimulationRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func chance(_ percent: Int) -> Bool {
        Int.random(in: 0..<100, using: &self) < percent
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &self)
    }

    mutating func pick<T>(_ values: [T]) -> T? {
        values.randomElement(using: &self)
    }

    /// A part of the values, not empty unless they are, in their order.
    mutating func some<T>(_ values: [T]) -> [T] {
        if values.isEmpty || chance(40) { return values }
        let part = values.filter { _ in chance(50) }
        return part.isEmpty ? [values[0]] : part
    }
}
