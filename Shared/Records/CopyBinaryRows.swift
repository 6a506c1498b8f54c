/// Encoded rows (a chunk, without header and trailer) cut apart again, so that they can be loaded in parts.
public struct CopyBinaryRows: Sendable {
    /// The rows back to back.
    public let bytes: [UInt8]
    /// Where each row begins, and behind the last where it ends.
    public let offsets: [Int]

    /// Where a row came from.
    public struct Lineage: Sendable, Hashable {
        public var batch: Int64
        /// The record's ordinal in the batch.
        public var row: Int32
        public var output: Int32

        public init(batch: Int64, row: Int32, output: Int32) {
            self.batch = batch
            self.row = row
            self.output = output
        }
    }

    /// Cuts rows that ``CopyBinaryEncoder`` has written.
    /// - Throws: `corruptCopy` unless the bytes are whole rows with lineage, all of the same number of fields.
    public init(_ bytes: [UInt8]) throws(RecordsError) {
        var offsets = [0]
        var at = 0
        var fieldCount: UInt16?
        let data = bytes.span
        while at < data.count {
            guard data.count - at >= 2 else { throw Self.corrupt(at) }
            let fields = UInt16(data[at]) << 8 | UInt16(data[at + 1])
            guard fields >= 3, fields <= 0x7FFF, fieldCount ?? fields == fields else { throw Self.corrupt(at) }
            fieldCount = fields
            let start = at
            at += 2
            for _ in 0..<fields {
                guard data.count - at >= 4 else { throw Self.corrupt(start) }
                let length = Int32(bitPattern: Self.word(data, at))
                at += 4
                guard length >= -1, Int(length) <= data.count - at else { throw Self.corrupt(start) }
                at += max(0, Int(length))
            }
            guard Self.word(data, start + 2) == 8, Self.word(data, start + 14) == 4, Self.word(data, start + 22) == 4
            else { throw Self.corrupt(start) }
            offsets.append(at)
        }
        self.bytes = bytes
        self.offsets = offsets
    }

    public var count: Int { offsets.count - 1 }

    /// The bytes of some rows, ready to go between a header and a trailer.
    public subscript(rows: Range<Int>) -> ArraySlice<UInt8> {
        bytes[offsets[rows.lowerBound]..<offsets[rows.upperBound]]
    }

    /// Where a row came from.
    public func lineage(_ row: Int) -> Lineage {
        let start = offsets[row]
        let data = bytes.span
        let batch = UInt64(Self.word(data, start + 6)) << 32 | UInt64(Self.word(data, start + 10))
        return Lineage(
            batch: Int64(bitPattern: batch), row: Int32(bitPattern: Self.word(data, start + 18)),
            output: Int32(bitPattern: Self.word(data, start + 26)))
    }

    /// The day on which a field of type `timestamptz` or `date` lies, in UTC, counted from 2000-01-01. Nil for NULL; an
    /// infinity is a day that no calendar has.
    /// - Parameter field: counted from 0, the lineage's three among them.
    public func day(_ row: Int, field: Int) -> Int32? {
        let data = bytes.span
        var at = offsets[row] + 2
        for _ in 0..<field { at += 4 + max(0, Int(Int32(bitPattern: Self.word(data, at)))) }
        switch Int32(bitPattern: Self.word(data, at)) {
        case 4: return Int32(bitPattern: Self.word(data, at + 4))
        case 8:
            let bits = UInt64(Self.word(data, at + 4)) << 32 | UInt64(Self.word(data, at + 8))
            let (days, rest) = Int64(bitPattern: bits).quotientAndRemainder(dividingBy: 86_400_000_000)
            return Int32(rest < 0 ? days - 1 : days)
        default: return nil
        }
    }

    private static func word(_ data: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(data[at]) << 24 | UInt32(data[at + 1]) << 16 | UInt32(data[at + 2]) << 8 | UInt32(data[at + 3])
    }

    private static func corrupt(_ at: Int) -> RecordsError {
        RecordsError(.corruptCopy, "the chunk's rows are damaged at byte \(at)")
    }
}
