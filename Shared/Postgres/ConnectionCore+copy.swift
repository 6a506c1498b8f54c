extension ConnectionCore {
    /// The most that is put into libpq's output buffer before it is sent.
    private static let copyPiece = 256 * 1024
    /// What COPY OUT gathers before it is handed over.
    private static let copyOutPiece = 64 * 1024

    /// COPY FROM STDIN; gives the number of rows. `body` writes; when it throws, the COPY fails and nothing remains.
    func copyIn(_ sql: String, _ body: (CopyWriter) async throws -> Void) async throws -> Int {
        guard handle.executeScript(takeBegin() + sql) else { throw lost(handle.errorMessage) }
        try await flush()
        try await awaitCopy { if case .copyIn = $0 { true } else { false } }
        (unsentCopy, copyRefusal) = (0, nil)
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

    /// Puts bytes on their way; waits until what libpq holds back has gone, once it is much.
    func writeCopy(_ bytes: [UInt8], _ range: Range<Int>) async throws(PostgresError) {
        var start = range.lowerBound
        while start < range.upperBound {
            let end = min(start + Self.copyPiece - unsentCopy, range.upperBound)
            let step = unsafe bytes.withUnsafeBytes { bytes in
                unsafe handle.putCopyData(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            }
            switch step {
            case .accepted:
                unsentCopy += end - start
                start = end
            case .full: unsentCopy = Self.copyPiece
            case .failed: throw try await copyFailure()
            }
            if unsentCopy >= Self.copyPiece { try await sendCopy() }
        }
    }

    /// Sends what libpq holds back, unless the server has refused already: libpq looks at that only at the end.
    private func sendCopy() async throws(PostgresError) {
        if !handle.usesTLS, ServerMessages.errorIsWaiting(on: handle.socket) { throw try await copyFailure() }
        unsentCopy = 0
        try await flush()
    }

    /// COPY TO STDOUT; gives the number of rows. `body` gets the bytes in pieces of about 64 KiB.
    func copyOut(_ sql: String, _ body: ([UInt8]) async throws -> Void) async throws -> Int {
        guard handle.executeScript(takeBegin() + sql) else { throw lost(handle.errorMessage) }
        try await flush()
        try await awaitCopy { if case .copyOut = $0 { true } else { false } }
        var piece: [UInt8] = []
        piece.reserveCapacity(Self.copyOutPiece * 2)
        while try await readCopy(into: &piece) {
            do {
                try await body(piece)
            } catch {
                try interrupt(.cancelled, "the reader gave up")
                try await discardCopyOut()
                throw error
            }
            piece.removeAll(keepingCapacity: true)
        }
        if !piece.isEmpty { try await body(piece) }
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
