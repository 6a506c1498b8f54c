/// Which new traces are recorded: a share of them, chosen by the trace's id, so that every process would choose the
/// same. Of a trace that comes from elsewhere its own flag says it.
public struct TraceSampler: Sendable, Hashable {
    /// Nothing is recorded but what others ask for.
    public static let none = TraceSampler(ratio: 0)
    public static let all = TraceSampler(ratio: 1)

    /// Ids below it are taken; nil takes all.
    private let bound: UInt64?

    /// `ratio` from 0 to 1; what is beyond counts as the nearer of the two.
    public init(ratio: Double) {
        bound = ratio >= 1 ? nil : UInt64(max(0, ratio) * 0x1p64)
    }

    func takes(_ id: UInt64) -> Bool {
        guard let bound else { return true }
        return id < bound
    }
}
