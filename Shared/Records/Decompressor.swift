private import CZlib
private import CZstd

/// How a request's body is compressed (`Content-Encoding`).
public enum ContentCoding: String, Sendable, CaseIterable {
    /// RFC 1952; several members in a row are one body.
    case gzip
    /// RFC 1950, or a bare RFC 1951 stream as some clients send.
    case deflate
    /// RFC 8878; several frames in a row are one body.
    case zstd
}

/// Expands a compressed body that arrives in chunks: push a chunk, then pull until there is nothing more.
///
/// Its memory is the chunk pushed, one piece pulled, and the decoder's window (at most 8 MiB). Used by one task.
public final class Decompressor {
    /// The largest piece ``pull()`` gives.
    public static let pieceBytes = 256 << 10

    private let coding: ContentCoding
    private let limit: Int
    private var input: [UInt8] = []
    private var used = 0
    private var expanded = 0
    private var engine: Engine?

    /// - Parameter limit: expanded bytes allowed in all.
    public init(_ coding: ContentCoding, limit: Int) {
        self.coding = coding
        self.limit = limit
    }

    /// Adds a chunk of the compressed body.
    public func push(_ chunk: [UInt8]) {
        if used == input.count {
            input = chunk
        } else {
            input.removeFirst(used)
            input += chunk
        }
        used = 0
    }

    /// The next expanded piece, never empty; nil when another chunk is needed.
    /// - Throws: `corruptCompression`, or `expandedTooLarge` beyond the limit.
    public func pull() throws(RecordsError) -> [UInt8]? {
        if engine == nil {
            // Two bytes tell a zlib header from a bare deflate stream.
            guard input.count - used >= (coding == .deflate ? 2 : 1) else { return nil }
            engine = try Engine(coding, start: input[used...])
        }
        guard let engine else { return nil }
        var piece: [UInt8] = []
        piece.reserveCapacity(Self.pieceBytes)
        while piece.isEmpty {
            // An engine that was stopped by a full piece may hold more output although all input is used.
            let before = used
            try engine.expand(input, &used, into: &piece)
            if used == before, piece.isEmpty { return nil }
        }
        expanded += piece.count
        guard expanded <= limit else { throw Zstd.tooLarge(limit) }
        return piece
    }

    /// Ends the body, once everything has been pulled.
    /// - Throws: `corruptCompression` when the body stops in the middle. A body of no bytes at all is empty.
    public func finish() throws(RecordsError) {
        if engine == nil, input.count == used { return }
        guard let engine, engine.atEnd, used == input.count else {
            throw RecordsError(.corruptCompression, "the \(coding.rawValue) body ends too early")
        }
    }
}

/// The library's decoder.
@safe private final class Engine {
    @safe private enum State {
        case zlib(UnsafeMutablePointer<z_stream>, many: Bool)
        case zstd(OpaquePointer)
    }

    private let state: State
    /// Whether the input so far ends with a whole stream.
    private(set) var atEnd = false

    init(_ coding: ContentCoding, start: ArraySlice<UInt8>) throws(RecordsError) {
        if coding == .zstd {
            guard let context = unsafe ZSTD_createDCtx() else { throw RecordsError(.library, "zstd has no memory") }
            unsafe ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 23)
            state = unsafe .zstd(context)
            return
        }
        let first = Array(start.prefix(2))
        var windowBits = MAX_WBITS + 16
        if coding == .deflate {
            let isWrapped = first[0] & 0x0F == 8 && (Int(first[0]) << 8 | Int(first[1])) % 31 == 0
            windowBits = isWrapped ? MAX_WBITS : -MAX_WBITS
        }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let size = unsafe CInt(MemoryLayout<z_stream>.size)
        guard unsafe inflateInit2_(stream, windowBits, ZLIB_VERSION, size) == Z_OK else {
            unsafe stream.deallocate()
            throw RecordsError(.library, "zlib has no memory")
        }
        state = unsafe .zlib(stream, many: coding == .gzip)
    }

    deinit {
        switch state {
        case .zlib(let stream, _):
            unsafe inflateEnd(stream)
            unsafe stream.deallocate()
        case .zstd(let context):
            unsafe ZSTD_freeDCtx(context)
        }
    }

    /// Expands until the input is used up or the piece is full.
    func expand(_ input: [UInt8], _ used: inout Int, into piece: inout [UInt8]) throws(RecordsError) {
        let from = used
        var position = used
        var isSound = true
        unsafe piece.appendUnsafely(upTo: Decompressor.pieceBytes) { base, count in
            let start = unsafe base + count
            unsafe input.withUnsafeBufferPointer { bytes in
                let source: UnsafeBufferPointer<UInt8> = unsafe UnsafeBufferPointer(rebasing: bytes[from...])
                let result = unsafe expand(source, into: start)
                position = from + result.used
                count += result.produced
                isSound = result.isSound
            }
        }
        used = position
        guard isSound else { throw RecordsError(.corruptCompression, "the compressed body is damaged") }
    }

    private func expand(
        _ source: UnsafeBufferPointer<UInt8>, into start: UnsafeMutablePointer<UInt8>
    ) -> (used: Int, produced: Int, isSound: Bool) {
        switch state {
        case .zlib(let stream, let many): unsafe inflateAll(stream, many, source, start)
        case .zstd(let context): unsafe zstdAll(context, source, start)
        }
    }

    private func inflateAll(
        _ stream: UnsafeMutablePointer<z_stream>, _ many: Bool, _ source: UnsafeBufferPointer<UInt8>,
        _ start: UnsafeMutablePointer<UInt8>
    ) -> (used: Int, produced: Int, isSound: Bool) {
        let inputCount = UInt32(min(source.count, Int(UInt32.max)))
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: source.baseAddress)
        unsafe stream.pointee.avail_in = inputCount
        unsafe stream.pointee.next_out = start
        unsafe stream.pointee.avail_out = UInt32(Decompressor.pieceBytes)
        var isSound = true
        while unsafe isSound && stream.pointee.avail_out > 0 {
            if atEnd {
                if unsafe stream.pointee.avail_in == 0 { break }
                guard many, unsafe inflateReset(stream) == Z_OK else {
                    isSound = false
                    break
                }
                atEnd = false
            }
            let status = unsafe inflate(stream, Z_NO_FLUSH)
            if status == Z_BUF_ERROR { break }
            isSound = status == Z_OK || status == Z_STREAM_END
            atEnd = status == Z_STREAM_END
        }
        let used = unsafe Int(inputCount - stream.pointee.avail_in)
        let produced = unsafe Decompressor.pieceBytes - Int(stream.pointee.avail_out)
        return (used, produced, isSound)
    }

    private func zstdAll(
        _ context: OpaquePointer, _ source: UnsafeBufferPointer<UInt8>, _ start: UnsafeMutablePointer<UInt8>
    ) -> (used: Int, produced: Int, isSound: Bool) {
        var input = unsafe ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
        var output = unsafe ZSTD_outBuffer(dst: start, size: Decompressor.pieceBytes, pos: 0)
        var isSound = true
        while unsafe isSound && output.pos < output.size {
            let before = unsafe (input.pos, output.pos)
            if unsafe atEnd && input.pos == input.size { break }
            let status = unsafe ZSTD_decompressStream(context, &output, &input)
            isSound = ZSTD_isError(status) == 0
            atEnd = status == 0
            if unsafe (input.pos, output.pos) == before { break }
        }
        return unsafe (input.pos, output.pos, isSound)
    }
}
