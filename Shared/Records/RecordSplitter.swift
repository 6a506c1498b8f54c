private import CSimdJSON

/// What a ``RecordSplitter`` keeps to.
public struct SplitLimits: Sendable {
    /// The longest record that is kept whole, in bytes; a longer one keeps its first `record` bytes, its SHA-256 and
    /// its full length. At least 1.
    public var record: Int
    /// The longest CSV header row in bytes.
    public var header: Int

    public init(record: Int = 1 << 20, header: Int = 1 << 20) {
        self.record = max(1, min(record, 1 << 30))
        self.header = max(1, header)
    }
}

/// Cuts a body that arrives in chunks of any size into records.
///
/// - NDJSON: a record a line; lines of white space only are skipped, a carriage return before the line feed is dropped.
/// - JSON: one object, or an array whose elements are the records. The brackets and commas around the elements are
///   checked, the elements themselves are not.
/// - CSV by RFC 4180: the first row is the header, whose names differ; a quoted field may hold line ends and doubled
///   quotes; a quote opens a field at its start only, elsewhere it is a character like others. Empty lines are skipped.
/// - Text: as NDJSON, without any meaning to the lines.
///
/// A byte order mark at the start is dropped. What has been cut is held until ``takeFrame()``; a caller that takes
/// frames as it goes needs memory for them and one record, and may give it back by ``reserve(_:reusing:)``. A value:
/// a copy goes on by itself.
public struct RecordSplitter {
    public let format: RecordFormat
    public let limits: SplitLimits
    /// Records cut so far, those of frames already taken included.
    public private(set) var recordCount = 0

    private var state = mr_splitter()
    /// Bytes of the byte order mark seen so far; 3 once the body's start is behind us.
    private var markSeen = 0
    private var frame: BatchFrame
    private var header: [UInt8]?
    private var place = BodyPlace()
    /// Where the CSV header row begins, behind empty lines.
    private var headerStart: BodyPlace?
    /// Where the quoted field that is still open was opened.
    private var openQuote: RecordsError.Position?
    private var skipped: SkippedRecord?

    public init(format: RecordFormat, limits: SplitLimits = SplitLimits()) {
        self.format = format
        self.limits = limits
        frame = BatchFrame(format: format)
        state.format = format.rawValue
        state.limit = UInt64(limits.record)
    }

    /// Bytes of the records that are ready to be taken.
    public var pendingBytes: Int { frame.bytes.count - Int(state.partial) }
    /// Bytes in memory: those records, their lengths, and the one that has not ended yet.
    public var heldBytes: Int { frame.bytes.count + frame.lengths.count * MemoryLayout<UInt32>.size }

    /// Cuts another chunk.
    /// - Throws: `unsplittable` with its position where the body is not of its format; `limit` for a CSV header that
    ///   is too long, or when 3 GiB have been cut and not taken. The splitter is then of no further use.
    public mutating func append(_ chunk: [UInt8]) throws(RecordsError) {
        try unsafe chunk.withUnsafeBufferPointer { (bytes) throws(RecordsError) in try unsafe append(bytes) }
    }

    /// Cuts another chunk; as ``append(_:)``.
    public mutating func append(_ chunk: ArraySlice<UInt8>) throws(RecordsError) {
        try unsafe chunk.withUnsafeBufferPointer { (bytes) throws(RecordsError) in try unsafe append(bytes) }
    }

    /// Ends the body: its last record needs no line end.
    /// - Throws: `unsplittable` when the body stops inside a CSV quote, or before its object or array ends.
    public mutating func finish() throws(RecordsError) {
        if markSeen < 3 {
            try feed(Self.mark.prefix(markSeen))
            markSeen = 3
        }
        switch format {
        case .json:
            if Int(state.phase) != MR_JSON_DONE && Int(state.phase) != MR_JSON_START {
                let open = Int(state.phase) == MR_JSON_OBJECT ? "object" : "array"
                throw unsplittable("the body ends before its \(open)")
            }
        case .csv where state.quoted != 0:
            throw RecordsError(.unsplittable, "a quoted field is never closed", at: openQuote ?? place.position)
        default:
            if state.partial > 0 || skipped != nil { try feed([0x0A]) }
        }
        try checkHeader()
    }

    /// What a body held that holds no record, as a message says it.
    public var emptiness: String {
        guard let header else { return "the body holds no record" }
        let seen = "the body holds a header row and no record"
        return CSVHeader.hasLoneReturn(header) ? seen + "; lone carriage returns are no line ends" : seen
    }

    /// Takes the records cut so far, or nil if there are none.
    public mutating func takeFrame() -> BatchFrame? {
        guard !frame.lengths.isEmpty else { return nil }
        let partial = Int(state.partial)
        var taken = BatchFrame(format: format, header: header ?? [])
        swap(&taken.lengths, &frame.lengths)
        swap(&taken.oversize, &frame.oversize)
        swap(&taken.bytes, &frame.bytes)
        // A slice would hold on to the bytes, and taking the last of them off would copy them all.
        frame.bytes = Array(taken.bytes.suffix(partial))
        taken.bytes.removeLast(partial)
        return taken
    }

    /// Makes room for about so many bytes of records to come: that of a frame which nobody needs any more, unless it
    /// is smaller or much larger.
    public mutating func reserve(_ bytes: Int, reusing spent: consuming BatchFrame) {
        guard frame.bytes.capacity < bytes else { return }
        guard (bytes...(bytes + bytes / 2)).contains(spent.bytes.capacity) else {
            return frame.bytes.reserveCapacity(bytes)
        }
        spent.bytes.removeAll(keepingCapacity: true)
        spent.lengths.removeAll(keepingCapacity: true)
        spent.bytes += frame.bytes
        spent.lengths += frame.lengths
        frame.bytes = spent.bytes
        frame.lengths = spent.lengths
    }
}

extension RecordSplitter {
    private static let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
    /// Larger chunks are cut piece by piece, which bounds the room asked for beforehand.
    private static let pieceBytes = 16 << 10
    private static let pendingLimit = 3 << 30

    private mutating func append(_ chunk: UnsafeBufferPointer<UInt8>) throws(RecordsError) {
        // Once for all pieces; by half, as a hundred bodies may begin at once.
        frame.bytes.grow(by: chunk.count + 2, share: 2)
        var start = 0
        while markSeen < 3, start < chunk.count {
            if unsafe chunk[start] == Self.mark[markSeen] {
                markSeen += 1
                start += 1
                if markSeen == 3 { place.skipMark() }
            } else {
                let seen = markSeen
                markSeen = 3
                try feed(Self.mark.prefix(seen))
            }
        }
        while start < chunk.count {
            let end = min(chunk.count, start + Self.pieceBytes)
            try unsafe cut(UnsafeBufferPointer(rebasing: chunk[start..<end]))
            start = end
        }
    }

    private mutating func feed(_ bytes: some Sequence<UInt8>) throws(RecordsError) {
        let bytes = Array(bytes)
        try unsafe bytes.withUnsafeBufferPointer { (bytes) throws(RecordsError) in try unsafe cut(bytes) }
    }

    private mutating func cut(_ piece: UnsafeBufferPointer<UInt8>) throws(RecordsError) {
        guard pendingBytes < Self.pendingLimit else {
            throw RecordsError(.limit, "more than 3 GiB of records have not been taken")
        }
        var rest = unsafe piece
        while !rest.isEmpty {
            let used = unsafe skipped == nil ? try cutWhole(rest) : skip(rest)
            unsafe rest = UnsafeBufferPointer(rebasing: rest[used...])
        }
    }

    /// Cuts until the piece is used up or a record is longer than the limit.
    private mutating func cutWhole(_ piece: UnsafeBufferPointer<UInt8>) throws(RecordsError) -> Int {
        if format == .csv, headerStart == nil { unsafe noteHeaderStart(in: piece) }
        frame.bytes.grow(by: piece.count + 2, share: 2)
        frame.lengths.grow(by: piece.count / 2 + 2)
        var used = 0
        var status: CInt = 0
        let recordsBefore = frame.lengths.count
        unsafe frame.bytes.appendUnsafely(upTo: piece.count + 2) { bytes, byteCount in
            unsafe frame.lengths.appendUnsafely(upTo: piece.count / 2 + 2) { lengths, count in
                status = unsafe mr_split(
                    &state, piece.baseAddress, piece.count, &used, bytes, &byteCount, lengths, &count)
            }
        }
        recordCount += frame.lengths.count - recordsBefore
        if Int(status) == MR_SPLIT_ERROR {
            unsafe place.pass(UnsafeBufferPointer(rebasing: piece[..<used]))
            throw unsplittable(Self.text(of: state.error))
        }
        unsafe noteQuote(Int(status) == MR_SPLIT_MORE, in: piece)
        if format == .json || format == .csv {
            unsafe place.pass(UnsafeBufferPointer(rebasing: piece[..<used]))
        }
        try checkHeader()
        if Int(status) == MR_SPLIT_OVERSIZE { skipped = try beginSkipping() }
        return used
    }

    private mutating func noteHeaderStart(in piece: UnsafeBufferPointer<UInt8>) {
        let blank = unsafe piece.prefix { $0 == 0x0A || $0 == 0x0D }.count
        guard blank < piece.count else { return }
        var at = place
        unsafe at.pass(UnsafeBufferPointer(rebasing: piece[..<blank]))
        headerStart = at
    }

    private mutating func noteQuote(_ saved: Bool, in piece: UnsafeBufferPointer<UInt8>) {
        let mayBeOpen = state.quoted != 0 || state.closed != 0
        guard format == .csv, saved, mayBeOpen, state.quote_at >= 0 else { return }
        var at = place
        unsafe at.pass(UnsafeBufferPointer(rebasing: piece[..<state.quote_at]))
        openQuote = at.position
    }

    private func unsplittable(_ message: String) -> RecordsError {
        RecordsError(.unsplittable, message, at: place.position)
    }

    private static func text(of error: UInt8) -> String {
        switch Int(error) {
        case MR_SPLIT_EXPECTED_CONTAINER: "expected an object or an array of objects"
        case MR_SPLIT_EXPECTED_VALUE: "expected an element of the array"
        case MR_SPLIT_EXPECTED_COMMA: "expected ',' or ']' after an element of the array"
        default: "unexpected data after the end of the JSON value"
        }
    }
}

// Records longer than the limit.
extension RecordSplitter {
    private mutating func beginSkipping() throws(RecordsError) -> SkippedRecord {
        if format == .csv, header == nil {
            throw RecordsError(.limit, "the header row is longer than \(limits.header) bytes")
        }
        let partial = frame.bytes[(frame.bytes.count - Int(state.partial))...]
        var skipped = SkippedRecord()
        skipped.pass(partial)
        return skipped
    }

    /// Passes over the record that is too long; returns how many bytes were its own (and its line end).
    private mutating func skip(_ piece: UnsafeBufferPointer<UInt8>) -> Int {
        var used = 0
        let partialBefore = Int(state.partial)
        let ended = unsafe mr_split_skip(&state, piece.baseAddress, piece.count, &used) != 0
        let own = unsafe UnsafeBufferPointer(rebasing: piece[..<used])
        unsafe noteQuote(!ended, in: piece)
        unsafe skipped?.pass(own)
        let room = max(0, limits.record - partialBefore)
        unsafe frame.bytes.append(contentsOf: own.prefix(room))
        let kept = partialBefore + min(room, used)
        state.partial = ended ? 0 : UInt64(kept)
        if format == .json || format == .csv { unsafe place.pass(own) }
        if ended { endSkipping(kept: kept) }
        return used
    }

    private mutating func endSkipping(kept: Int) {
        guard var record = skipped else { return }
        skipped = nil
        var kept = kept
        let full = record.end(droppingReturn: format != .json)
        if full.length < kept {
            frame.bytes.removeLast(kept - full.length)
            kept = full.length
        }
        if full.length > limits.record {
            frame.oversize.append(
                BatchFrame.Oversize(
                    index: Int32(frame.lengths.count), fullLength: UInt64(full.length), sha256: full.sha256))
        }
        frame.lengths.append(UInt32(kept))
        frame.bytes.append(0x0A)
        recordCount += 1
    }

    /// Takes a CSV body's first record for its header row.
    private mutating func checkHeader() throws(RecordsError) {
        guard format == .csv, header == nil, let length = frame.lengths.first.map(Int.init) else { return }
        guard length <= limits.header else {
            throw RecordsError(.limit, "the header row is longer than \(limits.header) bytes")
        }
        let row = Array(frame.bytes[..<length])
        guard String(validating: row, as: UTF8.self) != nil else {
            throw RecordsError(
                .unsplittable, "the header row is not UTF-8", at: .init(line: 1, column: 1, byte: 0))
        }
        if let repeated = CSVHeader.repetition(in: row) {
            let hint = CSVHeader.hasLoneReturn(row) ? "; lone carriage returns are no line ends" : ""
            var at = headerStart ?? BodyPlace()
            unsafe row.withUnsafeBufferPointer { unsafe at.pass(UnsafeBufferPointer(rebasing: $0[..<repeated.offset])) }
            throw RecordsError(.unsplittable, repeated.message + hint, at: at.position)
        }
        header = row
        frame.bytes.removeSubrange(..<(length + 1))
        frame.lengths.removeFirst()
        recordCount -= 1
    }
}
