import Synchronization

/// Numbers for request, trace and span ids: unique in the process, random across processes, never zero.
///
/// A random start and a counter go through SplitMix64 (Steele, Lea, Flood 2014), a bijection: no number comes
/// twice within 2^64, and none costs a system call. They are no secrets: whoever sees one can compute the next.
public enum UniqueNumber {
    private static let state = Atomic<UInt64>(UInt64.random(in: .min ... .max))

    public static func next() -> UInt64 {
        mixed(state.wrappingAdd(step, ordering: .relaxed).newValue)
    }

    fileprivate static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    fileprivate static func mixed(_ state: UInt64) -> UInt64 {
        var number = state
        number = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        number = (number ^ (number >> 27)) &* 0x94D0_49BB_1331_11EB
        number ^= number >> 31
        return number == 0 ? step : number
    }

    /// Sixteen hexadecimal digits of the next number.
    public static func nextText() -> String { text(of: next()) }

    /// A number's sixteen hexadecimal digits.
    static func text(of number: UInt64) -> String {
        let digits = [UInt8](capacity: 16) { Hexadecimal.append(number, digits: 16, to: &$0) }
        return String(decoding: digits, as: UTF8.self)
    }
}

/// Such numbers for one thread, which no other waits for: a walk of its own over the same 2^64, from a random place.
/// That two walks of a process meet is as unlikely as that two processes' do.
public struct UniqueNumbers: Sendable {
    private var state = UInt64.random(in: .min ... .max)

    public init() {}

    public mutating func next() -> UInt64 {
        state &+= UniqueNumber.step
        return UniqueNumber.mixed(state)
    }
}
