import Foundation

/// Where a test's random numbers begin.
public enum TestSeed {
    /// Another one each time, or what `MILLRACE_TEST_SEED` says: so a failure is repeated, and so what `.ci/run` says
    /// of a change is no matter of chance.
    public static func next() -> UInt64 {
        guard let text = ProcessInfo.processInfo.environment["MILLRACE_TEST_SEED"] else {
            return .random(in: 0 ... .max)
        }
        guard let seed = UInt64(text) else { preconditionFailure("MILLRACE_TEST_SEED is no whole number: \(text)") }
        return seed
    }
}
