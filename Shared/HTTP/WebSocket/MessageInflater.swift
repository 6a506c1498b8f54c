private import CZlib

/// Expands the messages of one direction of a WebSocket (RFC 7692, section 7.2.2). About 40 KiB.
@safe final class MessageInflater {
    private let stream: UnsafeMutablePointer<z_stream>
    private let keepsWindow: Bool

    /// The largest piece that is expanded at a time.
    private static let pieceOctets = 64 << 10
    /// What a sender takes off the end of each message.
    private static let tail: [UInt8] = [0x00, 0x00, 0xFF, 0xFF]

    /// - Parameters:
    ///   - windowBits: of the sender's window, 8 to 15.
    ///   - keepsWindow: messages may refer to earlier ones (context takeover).
    init(windowBits: Int, keepsWindow: Bool) {
        self.keepsWindow = keepsWindow
        unsafe stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // Some senders take 9 for 8, since zlib did.
        let status = unsafe inflateInit2_(
            stream, -CInt(max(9, windowBits)), ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has no memory")
    }

    deinit {
        unsafe inflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Expands a piece of a message onto the end of `message`, which must not grow past `limit`.
    func expand(_ piece: [UInt8], into message: inout [UInt8], limit: Int) throws(WebSocketFault) {
        var used = 0
        while true {
            let room = min(Self.pieceOctets, max(256, (piece.count - used) * 4), limit - message.count + 1)
            let before = (used, message.count)
            guard step(piece, &used, into: &message, room) else {
                throw WebSocketFault(.invalidPayload, "a compressed message is damaged")
            }
            guard message.count <= limit else {
                throw WebSocketFault(.messageTooBig, "a message expands to more than \(limit) octets")
            }
            let isFull = message.count - before.1 == room
            if used == piece.count, !isFull { return }
            guard (used, message.count) != before else {
                throw WebSocketFault(.invalidPayload, "a compressed message is damaged")
            }
        }
    }

    /// Ends a message: what is still inside comes out.
    func finish(into message: inout [UInt8], limit: Int) throws(WebSocketFault) {
        try expand(Self.tail, into: &message, limit: limit)
        if !keepsWindow { unsafe inflateReset(stream) }
    }

    /// One call of zlib's; false for damaged data.
    private func step(_ piece: [UInt8], _ used: inout Int, into message: inout [UInt8], _ room: Int) -> Bool {
        var status = Z_OK
        let start = used
        unsafe piece.withUnsafeBufferPointer { input in
            unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: input.baseAddress.map { unsafe $0 + start })
            unsafe stream.pointee.avail_in = UInt32(input.count - start)
            message.append(addingCapacity: room) { output in
                unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                    unsafe stream.pointee.next_out = buffer.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(room)
                    status = unsafe inflate(stream, Z_SYNC_FLUSH)
                    count = unsafe room - Int(stream.pointee.avail_out)
                }
            }
            used = unsafe input.count - Int(stream.pointee.avail_in)
        }
        switch status {
        case Z_OK, Z_BUF_ERROR: return true
        case Z_STREAM_END: return beginNextStream()
        default: return false
        }
    }

    /// A sender may end its stream within a message (RFC 7692, section 7.2.3.5): the next one goes on with its window.
    private func beginNextStream() -> Bool {
        var window = [UInt8](repeating: 0, count: 32 << 10)
        var count: UInt32 = 0
        return unsafe window.withUnsafeMutableBufferPointer { buffer in
            guard unsafe inflateGetDictionary(stream, buffer.baseAddress, &count) == Z_OK,
                unsafe inflateReset(stream) == Z_OK
            else { return false }
            return unsafe inflateSetDictionary(stream, buffer.baseAddress, count) == Z_OK
        }
    }
}
