/// Where a streamed answer goes. Used by one task at a time.
public protocol ResponseSink: Sendable {
    /// Sends the bytes as one piece; returns once the connection can take more, or throws when the client is gone.
    func write(_ bytes: [UInt8]) async throws
}

/// Writes a streamed answer piece by piece, with back-pressure from the client.
public struct ResponseWriter: Sendable {
    private let sink: any ResponseSink

    public init(_ sink: any ResponseSink) {
        self.sink = sink
    }

    /// Sends the bytes; waits while the client is slower than the writer. Empty bytes send nothing.
    public func write(_ bytes: [UInt8]) async throws {
        if !bytes.isEmpty { try await sink.write(bytes) }
    }

    public func write(_ text: String) async throws {
        try await write(Array(text.utf8))
    }
}
