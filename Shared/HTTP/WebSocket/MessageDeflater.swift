private import CZlib

/// Compresses the messages of one direction of a WebSocket (RFC 7692, section 7.2.1). With a window of 12 bits about
/// 35 KiB.
@safe final class MessageDeflater {
    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsWindow: Bool

    /// - Parameters:
    ///   - windowBits: 9 to 15.
    ///   - keepsWindow: messages refer to earlier ones (context takeover).
    init(windowBits: Int, keepsWindow: Bool) {
        self.keepsWindow = keepsWindow
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            stream, Z_BEST_SPEED, Z_DEFLATED, -CInt(windowBits), CInt(windowBits - 7), Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has no memory")
    }

    deinit {
        unsafe deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Compresses one whole message, which is not empty, onto the end of `output`.
    func compress(_ message: [UInt8], into output: inout [UInt8]) {
        unsafe message.withUnsafeBufferPointer { input in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            unsafe stream.pointee.avail_in = UInt32(input.count)
            // Until a call leaves room unused: then nothing is left inside.
            var isFull = true
            while isFull { isFull = step(room: input.count / 2 + 64, into: &output) }
        }
        // The empty block that a flush ends with is not sent.
        output.removeLast(4)
        if !keepsWindow { unsafe deflateReset(stream) }
    }

    /// One call of zlib's; whether it used up the room it had.
    private func step(room: Int, into output: inout [UInt8]) -> Bool {
        output.append(addingCapacity: room) { output in
            unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                unsafe stream.pointee.next_out = buffer.baseAddress
                unsafe stream.pointee.avail_out = UInt32(room)
                _ = unsafe deflate(stream, Z_SYNC_FLUSH)
                count = unsafe room - Int(stream.pointee.avail_out)
            }
        }
        return unsafe stream.pointee.avail_out == 0
    }
}
