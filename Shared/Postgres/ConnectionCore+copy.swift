extension ConnectionCore {
    /// What a socket that is ready for writing takes at once (a third of its buffer is free then). Were more sent,
    /// libpq would read when the socket is full, and keep an error that it looks at only at the end of the COPY.
    private static let copyWindow = 32 * 1024
    /// The bytes that libpq puts in front of each piece.
    private static let copyHeader = 5
    /// What COPY OUT gathers before it is handed over.
    private static let copyOutPiece = 64 * 1024

    /// COPY FROM STDIN; gives the number of rows. `body` writes; when it throws, the COPY fails and nothing remains.
    func copyIn(_ sql: String, _ body: (CopyWriter) async throws -> Void) async throws -> Int {
        guard handle.executeScript(takeBegin() + sql) else { throw lost(handle.errorMessage) }
        try await flush()
        try await awaitCopy { if case .copyIn = $0 { true } else { false } }
        (copyRoom, copyRefusal) = (0, nil)
        let writer = CopyWriter(core: self)
        do {
            try await body(writer)
        } catch {
            if phase == .closed { throw error }
            // If the server has ended the COPY by itself, this does nothing.
            _ = handle.putCopyEnd(failing: "the client gave up")
            try await flush()
            try await drain()
            throw error
        }
        if let copyRefusal { throw copyRefusal }
        guard handle.putCopyEnd() != .failed else { throw try await copyFailure() }
        try await flush()
        return try await copyResult()
    }

    /// Sends bytes as fast as the socket takes them. Errors: the server's, once it has refused.
    func writeCopy(_ bytes: [UInt8], _ range: Range<Int>) async throws(PostgresError) {
        var start = range.lowerBound
        while start < range.upperBound {
            if copyRoom == 0 { try await makeCopyRoom() }
            let end = min(start + copyRoom, range.upperBound)
            let step = unsafe bytes.withUnsafeBytes { bytes in
                unsafe handle.putCopyData(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
            switch step {
            case .accepted:
                copyRoom = max(0, copyRoom - (end - start) - Self.copyHeader)
                start = end
            case .full: copyRoom = 0
            case .failed: throw try await copyFailure()
            }
        }
    }

    /// Waits until the socket takes more, which also lets the loop's other tasks run; unless the server has refused.
    private func makeCopyRoom() async throws(PostgresError) {
        if let copyRefusal { throw copyRefusal }
        try await flush()
        while try await !awaitWritable() {
            if serverHasRefused { throw try await copyFailure() }
            // It may be stuck itself, because nobody reads its notices.
            guard handle.consumeInput() else { throw lost(handle.errorMessage) }
        }
        if serverHasRefused { throw try await copyFailure() }
        copyRoom = Self.copyWindow
    }

    /// Inside TLS an error cannot be seen before the end.
    private var serverHasRefused: Bool {
        !handle.usesTLS && ServerMessages.errorIsWaiting(on: handle.socket)
    }

    /// COPY TO STDOUT; gives the number of rows. `body` gets the bytes in pieces of about 64 KiB, one after the other;
    /// meanwhile the next piece is read.
    func copyOut(_ sql: String, _ body: @Sendable ([UInt8]) async throws -> Void) async throws -> Int {
        guard handle.executeScript(takeBegin() + sql) else { throw lost(handle.errorMessage) }
        try await flush()
        try await awaitCopy { if case .copyOut = $0 { true } else { false } }
        var (piece, next): ([UInt8], [UInt8]) = ([], [])
        piece.reserveCapacity(Self.copyOutPiece * 2)
        next.reserveCapacity(Self.copyOutPiece * 2)
        var more = try await readCopy(into: &piece)
        while !piece.isEmpty {
            let read = piece
            var failure: PostgresError?
            do {
                async let taken: Void = body(read)
                do throws(PostgresError) {
                    if more { more = try await readCopy(into: &next) }
                } catch {
                    failure = error
                }
                try await taken
            } catch  where failure == nil {
                if more, interruption == nil { try interrupt(.cancelled, "the reader gave up") }
                if more { try await discardCopyOut() } else { try await drain() }
                throw error
            }
            if let failure { throw failure }
            piece.removeAll(keepingCapacity: true)
            swap(&piece, &next)
        }
        return try await copyResult()
    }

    /// False when the data has ended.
    private func readCopy(into piece: inout [UInt8]) async throws(PostgresError) -> Bool {
        while piece.count < Self.copyOutPiece {
            switch unsafe handle.getCopyData({ unsafe piece.append(contentsOf: $0) }) {
            case .row: break
            case .wouldBlock: try await awaitInput()
            case .done, .failed: return false
            }
        }
        return true
    }

    private func discardCopyOut() async throws(PostgresError) {
        var ignored: [UInt8] = []
        while try await readCopy(into: &ignored) { ignored.removeAll(keepingCapacity: true) }
        try await drain()
    }

    /// Waits until the server is ready to copy; results before that belong to a BEGIN.
    private func awaitCopy(_ isCopy: (borrowing ConnectionHandle.Event) -> Bool) async throws(PostgresError) {
        while true {
            let event = try await nextEvent()
            if isCopy(event) { return }
            switch event {
            case .end: throw PostgresError(.misuse, "the statement is no such COPY", doing: doing)
            case .failed(let error):
                try await drain()
                throw error
            case .copyIn: _ = handle.putCopyEnd(failing: "the statement is no COPY TO STDOUT")
            case .copyOut:
                try interrupt(.misuse, "the statement is no COPY FROM STDIN")
                try await discardCopyOut()
            case .result, .skipped, .synced: break
            }
        }
    }

    /// Ends a COPY that the server has ended already, and says why it did.
    private func copyFailure() async throws(PostgresError) -> PostgresError {
        if let copyRefusal { return copyRefusal }
        var refusal = PostgresError(.misuse, "the COPY had ended", doing: doing)
        _ = handle.putCopyEnd()
        try await flush()
        do throws(PostgresError) {
            _ = try await copyResult()
        } catch {
            refusal = error
        }
        copyRefusal = refusal
        return refusal
    }

    private func copyResult() async throws(PostgresError) -> Int {
        var rows = 0
        var failure: PostgresError?
        while true {
            switch try await nextEvent() {
            case .end:
                if let failure { throw failure }
                return rows
            case .result(let result): rows = result.affectedRows
            case .failed(let error): failure = failure ?? error
            case .copyIn, .copyOut, .skipped, .synced: throw lost("unexpected answer to a COPY")
            }
        }
    }
}

/// Takes the data of a COPY FROM STDIN.
public struct CopyWriter: Sendable {
    let core: ConnectionCore

    /// Sends bytes, which need not be whole rows. Returns when all but the kernel's share has been sent, so that memory
    /// stays bounded by the slower of writer and server. Errors: the server's, as soon as it has refused.
    public func write(_ bytes: [UInt8]) async throws(PostgresError) {
        try await core.writeCopy(bytes, 0..<bytes.count)
    }

    /// Sends a part of an array.
    public func write(_ bytes: [UInt8], _ range: Range<Int>) async throws(PostgresError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "range out of bounds")
        try await core.writeCopy(bytes, range)
    }
}
