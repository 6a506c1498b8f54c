/// A value that only one loop's thread may touch, inside something that travels between threads.
public struct LoopBound<Value>: Sendable {
    public let loop: EventLoop
    nonisolated(unsafe) private let bound: Value

    /// Must be called on the loop's thread.
    public init(_ value: Value, to loop: EventLoop) {
        precondition(loop.isCurrent, "a value is bound on its loop's thread")
        self.loop = loop
        unsafe bound = value
    }

    /// Traps on any other thread.
    public var value: Value {
        precondition(loop.isCurrent, "a loop's value is used on its thread")
        return unsafe bound
    }
}
