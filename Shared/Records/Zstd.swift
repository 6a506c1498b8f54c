private import CZstd

/// Zstandard (RFC 8878) for whole buffers, with a checksum.
public enum Zstd {
    /// Compresses; level 1 is the fastest of the ordinary ones.
    public static func compress(_ bytes: [UInt8], level: Int = 1) throws(RecordsError) -> [UInt8] {
        var writer = try ZstdWriter(level: level, size: bytes.count)
        try writer.append(bytes)
        return try writer.finish()
    }

    /// Expands one frame that fills `bytes` exactly.
    /// - Throws: `expandedTooLarge` beyond `limit` bytes, `corruptCompression` for anything damaged.
    public static func decompress(_ bytes: [UInt8], limit: Int) throws(RecordsError) -> [UInt8] {
        var output: [UInt8] = []
        try decompress(bytes, limit: limit, appendingTo: &output)
        return output
    }

    /// The same, behind what `output` holds, which it does not move where its capacity is enough. After an error what
    /// was expanded so far is in it.
    public static func decompress(
        _ bytes: [UInt8], limit: Int, appendingTo output: inout [UInt8]
    ) throws(RecordsError) {
        var reader = try ZstdReader(bytes)
        let end = output.count + limit
        if let size = reader.announcedSize {
            guard size <= UInt64(limit) else { throw Self.tooLarge(limit) }
            output.grow(by: Int(size))
        }
        while !reader.frameEnded {
            let room = min(max(output.capacity - output.count, 64 << 10), end - output.count + 1)
            let produced = try reader.read(upTo: room, into: &output)
            guard output.count <= end else { throw Self.tooLarge(limit) }
            if produced == 0 { break }
        }
        try reader.finish()
    }

    static func tooLarge(_ limit: Int) -> RecordsError {
        RecordsError(.expandedTooLarge, "the data expand to more than \(limit) bytes")
    }
}

/// Writes one zstd frame from several buffers.
@safe struct ZstdWriter: ~Copyable {
    private static let leastRoom = 128

    private let context: OpaquePointer
    private var output: [UInt8] = []

    /// - Parameter size: bytes to come in all; anything else makes ``finish()`` fail.
    init(level: Int, size: Int) throws(RecordsError) {
        guard let context = unsafe ZSTD_createCCtx() else { throw RecordsError(.library, "zstd has no memory") }
        unsafe self.context = context
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, CInt(level))
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)
        unsafe ZSTD_CCtx_setPledgedSrcSize(context, UInt64(size))
        output.reserveCapacity(size / 4 + Self.leastRoom)
    }

    deinit { unsafe ZSTD_freeCCtx(context) }

    mutating func append<Element: BitwiseCopyable>(_ elements: [Element]) throws(RecordsError) {
        try unsafe elements.withUnsafeBufferPointer { (elements) throws(RecordsError) in
            try unsafe feed(UnsafeRawBufferPointer(elements), ZSTD_e_continue)
        }
    }

    mutating func finish() throws(RecordsError) -> [UInt8] {
        try unsafe feed(UnsafeRawBufferPointer(start: nil, count: 0), ZSTD_e_end)
        return output
    }

    private mutating func feed(
        _ bytes: UnsafeRawBufferPointer, _ operation: ZSTD_EndDirective
    ) throws(RecordsError) {
        var input = unsafe ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: 0)
        var left = 0
        repeat {
            if output.capacity - output.count < Self.leastRoom { output.grow(by: Self.leastRoom) }
            let room = output.capacity - output.count
            unsafe output.appendUnsafely(upTo: room) { base, count in
                var out = unsafe ZSTD_outBuffer(dst: base + count, size: room, pos: 0)
                left = unsafe ZSTD_compressStream2(context, &out, &input, operation)
                unsafe count += out.pos
            }
            guard ZSTD_isError(left) == 0 else {
                throw RecordsError(.library, unsafe String(cString: ZSTD_getErrorName(left)))
            }
        } while unsafe operation == ZSTD_e_end ? left != 0 : input.pos < input.size
    }
}

/// Reads one zstd frame piece by piece.
@safe struct ZstdReader: ~Copyable {
    private let context: OpaquePointer
    private let source: [UInt8]
    private var used = 0
    fileprivate private(set) var frameEnded = false

    init(_ source: [UInt8]) throws(RecordsError) {
        guard let context = unsafe ZSTD_createDCtx() else { throw RecordsError(.library, "zstd has no memory") }
        unsafe self.context = context
        self.source = source
    }

    deinit { unsafe ZSTD_freeDCtx(context) }

    /// The expanded size the frame's header states, if it does.
    var announcedSize: UInt64? {
        // The macros ZSTD_CONTENTSIZE_UNKNOWN and _ERROR are the two largest values.
        let size = unsafe source.withUnsafeBytes { unsafe ZSTD_getFrameContentSize($0.baseAddress, $0.count) }
        return size >= UInt64.max - 1 ? nil : size
    }

    /// Appends up to `room` more bytes; 0 at the frame's end.
    mutating func read<Element: BitwiseCopyable>(
        upTo room: Int, into output: inout [Element]
    ) throws(RecordsError) -> Int {
        let size = MemoryLayout<Element>.stride
        output.grow(by: room)
        var produced = 0
        var status = 0
        unsafe output.appendUnsafely(upTo: room) { base, count in
            let start = unsafe UnsafeMutableRawPointer(base + count)
            (produced, status) = unsafe expand(into: start, size: room * size)
            count += produced / size
        }
        guard ZSTD_isError(status) == 0, produced % size == 0 else {
            throw RecordsError(.corruptCompression, "the zstd frame is damaged or cut short")
        }
        return produced / size
    }

    /// Fails unless the frame ended where the source does.
    mutating func finish() throws(RecordsError) {
        var nothing: [UInt8] = []
        let more = try read(upTo: 1, into: &nothing)
        guard more == 0, frameEnded, used == source.count else {
            throw RecordsError(.corruptCompression, "the zstd frame is damaged or cut short")
        }
    }

    private mutating func expand(into start: UnsafeMutableRawPointer, size: Int) -> (produced: Int, status: Int) {
        var out = unsafe ZSTD_outBuffer(dst: start, size: size, pos: 0)
        var status = 0
        let from = used
        var position = from
        unsafe source.withUnsafeBytes { bytes in
            var input = unsafe ZSTD_inBuffer(src: bytes.baseAddress, size: bytes.count, pos: from)
            while unsafe !frameEnded && out.pos < out.size {
                let before = unsafe (input.pos, out.pos)
                status = unsafe ZSTD_decompressStream(context, &out, &input)
                if ZSTD_isError(status) != 0 { break }
                if status == 0 { frameEnded = true }
                if unsafe (input.pos, out.pos) == before { break }
            }
            position = unsafe input.pos
        }
        used = position
        return unsafe (out.pos, status)
    }
}
