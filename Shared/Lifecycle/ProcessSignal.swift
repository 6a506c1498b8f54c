/// A POSIX signal that asks a process to stop.
public struct ProcessSignal: Hashable, Sendable {
    /// The signal's number.
    public let number: CInt

    public init(number: CInt) { self.number = number }

    public static let interrupt = ProcessSignal(number: 2)
    public static let term = ProcessSignal(number: 15)
    public static let int = interrupt
    public static let quit = ProcessSignal(number: 3)
    public static let user1 = ProcessSignal(number: 10)
    public static let user2 = ProcessSignal(number: 12)
}
