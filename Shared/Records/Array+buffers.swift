extension Array where Element: BitwiseCopyable {
    /// Makes room for `count` more elements; when it has to move, at least for a `share`th more than before.
    mutating func grow(by count: Int, share: Int = 1) {
        let needed = self.count + count
        if needed > capacity { reserveCapacity(Swift.max(needed, capacity + capacity / share)) }
    }

    /// Lets `body` write to the end of the buffer: it gets the buffer's first element and the count so far, and leaves
    /// the new count there, which is at most `limit` more; it may also be less than it was.
    mutating func appendUnsafely(
        upTo limit: Int, _ body: (UnsafeMutablePointer<Element>, inout Int) -> Void
    ) {
        let before = count
        var total = before
        append(addingCapacity: limit) { span in
            unsafe span.withUnsafeMutableBufferPointer { buffer, initialized in
                guard let base = buffer.baseAddress else { return }
                unsafe body(base - before, &total)
                initialized = Swift.max(0, total - before)
            }
        }
        if total < before { removeLast(before - total) }
    }
}
