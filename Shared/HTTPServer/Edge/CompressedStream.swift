import HTTP
import Synchronization

/// A stream's pieces on their way to the client, each compressed and flushed.
final class CompressedStream: ResponseSink {
    private let writer: ResponseWriter
    private let encoder: Mutex<AnswerEncoder>
    private let permit: AnswerCompression.StreamPermit

    init(_ writer: ResponseWriter, _ coding: AnswerCoding, _ permit: AnswerCompression.StreamPermit) {
        self.writer = writer
        encoder = Mutex(AnswerEncoder(coding))
        self.permit = permit
    }

    func write(_ bytes: [UInt8]) async throws {
        try await writer.write(await encode(bytes))
    }

    /// Ends the coding. A stream that fails is not ended, so that a client can tell.
    func finish() async throws {
        try await writer.write(encodeNow([], isLast: true))
    }

    private func encode(_ bytes: [UInt8]) async -> [UInt8] {
        if bytes.count <= AnswerCompression.onLoop { return encodeNow(bytes, isLast: false) }
        return await withTaskExecutorPreference(globalConcurrentExecutor) { encodeNow(bytes, isLast: false) }
    }

    private func encodeNow(_ bytes: [UInt8], isLast: Bool) -> [UInt8] {
        encoder.withLock { encoder in
            var output: [UInt8] = []
            encoder.append(bytes, into: &output, isLast: isLast)
            return output
        }
    }
}
