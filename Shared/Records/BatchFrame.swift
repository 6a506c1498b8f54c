/// How the records of a body are written.
public enum RecordFormat: UInt8, Sendable, CaseIterable {
    /// `application/x-ndjson`: a JSON value a line.
    case ndjson = 1
    /// `application/json`: an object, or an array of records.
    case json = 2
    /// `text/csv` by RFC 4180 with a header row.
    case csv = 3
    /// `text/plain`: a record a line, in column `line`.
    case text = 4
}

/// A batch's raw records, as they lie in landing.
///
/// Each record's bytes are followed by one line feed that belongs to none, so that the bytes of an NDJSON, CSV or
/// text frame are themselves a body of that format (CSV without its header row). At most 2³¹−1 records and 4 GiB.
public struct BatchFrame: Sendable, Equatable {
    /// A record that was longer than the limit: `bytes` holds its beginning only.
    public struct Oversize: Sendable, Equatable {
        /// The record's ordinal.
        public var index: Int32
        /// Its length in the body.
        public var fullLength: UInt64
        /// SHA-256 over all of it, 32 bytes.
        public var sha256: [UInt8]

        public init(index: Int32, fullLength: UInt64, sha256: [UInt8]) {
            self.index = index
            self.fullLength = fullLength
            self.sha256 = sha256
        }
    }

    public var format: RecordFormat
    /// The header row of a CSV body, without its line end; empty for other formats.
    public var header: [UInt8]
    /// The records, each followed by a line feed.
    public var bytes: [UInt8]
    /// The length of each record, without the line feed.
    public var lengths: [UInt32]
    /// Records that were cut, by ordinal.
    public var oversize: [Oversize]

    public init(
        format: RecordFormat, header: [UInt8] = [], bytes: [UInt8] = [], lengths: [UInt32] = [],
        oversize: [Oversize] = []
    ) {
        self.format = format
        self.header = header
        self.bytes = bytes
        self.lengths = lengths
        self.oversize = oversize
    }

    public var recordCount: Int { lengths.count }

    /// Where each record begins in `bytes`; one entry more than there are records. O(records).
    public func offsets() -> [Int] {
        var offsets = [0]
        offsets.reserveCapacity(lengths.count + 1)
        var next = 0
        for length in lengths {
            next += Int(length) + 1
            offsets.append(next)
        }
        return offsets
    }

    /// The bytes of one record, by the offsets that ``offsets()`` gave.
    public func record(_ index: Int, offsets: [Int]) -> ArraySlice<UInt8> {
        bytes[offsets[index]..<offsets[index] + Int(lengths[index])]
    }

    /// The bytes of one record. O(its ordinal); for several, see ``record(_:offsets:)``.
    public func record(_ index: Int) -> ArraySlice<UInt8> {
        let start = lengths[..<index].reduce(0) { $0 + Int($1) + 1 }
        return bytes[start..<start + Int(lengths[index])]
    }

    /// Takes the bytes of records out. They keep their places, so that the ordinals of the others stay; landing makes
    /// no record without bytes, so that is what tells an erased one.
    public func erasing(_ ordinals: Set<Int32>) -> BatchFrame {
        var kept = BatchFrame(format: format, header: header)
        let offsets = offsets()
        for index in lengths.indices {
            kept.append(record: ordinals.contains(Int32(index)) ? [] : record(index, offsets: offsets))
        }
        kept.oversize = oversize.filter { !ordinals.contains($0.index) }
        return kept
    }

    /// The ordinals of the records that were erased.
    public var erased: [Int32] {
        lengths.indices.filter { lengths[$0] == 0 }.map { Int32($0) }
    }

    /// Appends a record.
    public mutating func append(record: some Collection<UInt8>) {
        let before = bytes.count
        bytes.append(contentsOf: record)
        lengths.append(UInt32(bytes.count - before))
        bytes.append(0x0A)
    }

    /// Appends the records of another frame of the same format and header.
    /// - Returns: the ordinals they have here.
    @discardableResult
    public mutating func append(_ other: BatchFrame) throws(RecordsError) -> Range<Int> {
        guard other.format == format, other.header == header else {
            throw RecordsError(.incompatibleFrames, "frames of different formats or headers cannot be joined")
        }
        let first = recordCount
        bytes.append(contentsOf: other.bytes)
        lengths.append(contentsOf: other.lengths)
        for record in other.oversize {
            oversize.append(
                Oversize(
                    index: Int32(first) + record.index, fullLength: record.fullLength, sha256: record.sha256))
        }
        return first..<recordCount
    }
}
