private import CZlib
private import CZstd

/// Encodes one body in a content coding, piece by piece. It takes about 260 KiB for gzip; for zstd, less than 1 MiB
/// where the size is not known, and what its level needs for the size where it is.
@safe public final class AnswerEncoder {
    /// How hard it tries: once for many answers, or once for each.
    public enum Effort: Sendable {
        case fast, thorough

        fileprivate var gzipLevel: CInt { self == .fast ? 4 : 9 }
        fileprivate var zstdLevel: CInt { self == .fast ? 3 : 15 }
    }

    @safe private enum State {
        case gzip(UnsafeMutablePointer<z_stream>)
        case zstd(OpaquePointer)
    }

    private let state: State

    /// - Parameter size: of the whole body, if it is known; then it has to be that.
    public init(_ coding: AnswerCoding, size: Int? = nil, effort: Effort = .fast) {
        switch coding {
        case .gzip: state = AnswerEncoder.gzip(effort.gzipLevel)
        case .zstd: state = AnswerEncoder.zstd(effort.zstdLevel, size)
        }
    }

    private static func gzip(_ level: CInt) -> State {
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        let status = unsafe deflateInit2_(
            stream, level, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size))
        precondition(status == Z_OK, "zlib has no memory")
        return unsafe .gzip(stream)
    }

    private static func zstd(_ level: CInt, _ size: Int?) -> State {
        guard let context = unsafe ZSTD_createCCtx() else { preconditionFailure("zstd has no memory") }
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
        if let size {
            unsafe ZSTD_CCtx_setPledgedSrcSize(context, UInt64(size))
        } else {
            unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 17)
        }
        return unsafe .zstd(context)
    }

    deinit {
        switch state {
        case .gzip(let stream):
            unsafe deflateEnd(stream)
            unsafe stream.deallocate()
        case .zstd(let context):
            unsafe ZSTD_freeCCtx(context)
        }
    }

    /// A whole body in a coding.
    public static func encode(_ body: [UInt8], _ coding: AnswerCoding, effort: Effort = .fast) -> [UInt8] {
        var output: [UInt8] = []
        AnswerEncoder(coding, size: body.count, effort: effort).append(body, into: &output, isLast: true)
        return output
    }

    /// Encodes octets onto the end of `output`, and all of them: what has come can be decoded without what follows.
    /// Nothing may follow the last.
    public func append(_ octets: [UInt8], into output: inout [UInt8], isLast: Bool = false) {
        let room = octets.count / 2 + 256
        unsafe octets.withUnsafeBufferPointer { octets in
            switch state {
            case .gzip(let stream): unsafe deflateAll(stream, octets, isLast ? Z_FINISH : Z_SYNC_FLUSH, room, &output)
            case .zstd(let context): unsafe zstdAll(context, octets, isLast ? ZSTD_e_end : ZSTD_e_flush, room, &output)
            }
        }
    }

    private func deflateAll(
        _ stream: UnsafeMutablePointer<z_stream>, _ octets: UnsafeBufferPointer<UInt8>, _ flush: CInt, _ room: Int,
        _ output: inout [UInt8]
    ) {
        unsafe stream.pointee.next_in = UnsafeMutablePointer(mutating: octets.baseAddress)
        unsafe stream.pointee.avail_in = UInt32(octets.count)
        // Until a call leaves room unused: then nothing is left inside.
        var isFull = true
        while isFull {
            output.append(addingCapacity: room) { output in
                unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                    unsafe stream.pointee.next_out = buffer.baseAddress
                    unsafe stream.pointee.avail_out = UInt32(room)
                    _ = unsafe deflate(stream, flush)
                    count = unsafe room - Int(stream.pointee.avail_out)
                }
            }
            isFull = unsafe stream.pointee.avail_out == 0
        }
    }

    private func zstdAll(
        _ context: OpaquePointer, _ octets: UnsafeBufferPointer<UInt8>, _ operation: ZSTD_EndDirective, _ room: Int,
        _ output: inout [UInt8]
    ) {
        var input = unsafe ZSTD_inBuffer(src: octets.baseAddress, size: octets.count, pos: 0)
        var left = 1
        while left > 0 {
            output.append(addingCapacity: room) { output in
                unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                    var target = unsafe ZSTD_outBuffer(dst: buffer.baseAddress, size: room, pos: 0)
                    left = unsafe ZSTD_compressStream2(context, &target, &input, operation)
                    count = unsafe target.pos
                }
            }
            // It fails for want of memory, and for a body that is not of the size that was said.
            precondition(ZSTD_isError(left) == 0, "zstd cannot encode")
        }
    }
}
