import Records

/// A body on its way in: decompressed, counted against its limits, fingerprinted where a key asks for it, and cut into
/// records. A value type that does no I/O.
struct IncomingBody {
    /// The decoded body is larger than allowed.
    struct TooLarge: Error {
        let limit: Int
    }

    private let limit: Int
    private let decompressor: Decompressor?
    /// What was pushed and is not compressed.
    private var pushed: [UInt8] = []
    private var splitter: RecordSplitter
    private var digest: SHA256Digest?
    private(set) var decodedBytes = 0

    /// `limit` is in bytes of the decoded body.
    init(format: RecordFormat, coding: ContentCoding?, limit: Int, fingerprinted: Bool) {
        self.limit = limit
        decompressor = coding.map { Decompressor($0, limit: limit) }
        splitter = RecordSplitter(format: format)
        if fingerprinted {
            var digest = SHA256Digest()
            digest.update([format.rawValue])
            self.digest = digest
        }
    }

    var recordCount: Int { splitter.recordCount }
    /// What it held, if it ended without a record.
    var emptiness: String { splitter.emptiness }
    /// Of the records that are ready to be taken.
    var pendingBytes: Int { splitter.pendingBytes }
    /// In memory, with the record that has not ended yet.
    var heldBytes: Int { splitter.heldBytes }

    /// Takes the body's next chunk, which ``cut()`` works off.
    mutating func push(_ chunk: [UInt8]) {
        if let decompressor { decompressor.push(chunk) } else { pushed = chunk }
    }

    /// Cuts a piece of what was pushed: a bomb is noticed before it is unpacked, and what a small chunk expands to can
    /// be taken as it comes. False when another chunk is needed.
    mutating func cut() throws -> Bool {
        var piece: [UInt8] = []
        if let decompressor { piece = try decompressor.pull() ?? [] } else { swap(&piece, &pushed) }
        guard !piece.isEmpty else { return false }
        try appendDecoded(piece)
        return true
    }

    /// Ends the body. Throws where it stops in the middle of a record that needs an end, or of its compressed form.
    mutating func finish() throws {
        try decompressor?.finish()
        try splitter.finish()
    }

    mutating func takeFrame() -> BatchFrame? { splitter.takeFrame() }

    /// Makes room for a frame of about so many bytes, if need be in place of one that has landed.
    mutating func reserve(_ bytes: Int, reusing spent: consuming BatchFrame) {
        splitter.reserve(bytes, reusing: spent)
    }

    /// SHA-256 of the format and the decoded body; nil where it was not asked for.
    func fingerprint() -> [UInt8]? { digest?.finish() }

    private mutating func appendDecoded(_ bytes: [UInt8]) throws {
        decodedBytes += bytes.count
        if decodedBytes > limit { throw TooLarge(limit: limit) }
        digest?.update(bytes)
        try splitter.append(bytes)
    }
}
