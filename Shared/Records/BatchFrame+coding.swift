// The frame's stored form is one zstd frame, all integers little-endian:
// magic "MRB1", u8 format, 3 zero bytes, u32 header length, u32 records, u32 cut records, u64 record bytes;
// header; records' lengths (u32 each); cut records (u32 ordinal, u64 full length, 32 bytes SHA-256 each); record bytes.
extension BatchFrame {
    private static let magic: [UInt8] = [0x4D, 0x52, 0x42, 0x31]
    private static let fixedBytes = 28
    private static let oversizeBytes = 44

    /// The frame as it is stored: compressed and checksummed.
    public func encode(level: Int = 1) throws(RecordsError) -> [UInt8] {
        var start = Self.magic + [format.rawValue, 0, 0, 0]
        start.appendLittleEndian(UInt32(header.count))
        start.appendLittleEndian(UInt32(lengths.count))
        start.appendLittleEndian(UInt32(oversize.count))
        start.appendLittleEndian(UInt64(bytes.count))
        start += header
        var cut: [UInt8] = []
        for record in oversize {
            cut.appendLittleEndian(UInt32(record.index))
            cut.appendLittleEndian(record.fullLength)
            cut += record.sha256
        }
        let size = start.count + lengths.count * 4 + cut.count + bytes.count
        var writer = try ZstdWriter(level: level, size: size)
        try writer.append(start)
        try writer.append(lengths)
        try writer.append(cut)
        try writer.append(bytes)
        return try writer.finish()
    }

    /// Reads a stored frame.
    /// - Throws: `expandedTooLarge` beyond `limit` bytes, `corruptCompression` or `corruptFrame` for any damage.
    public init(decoding stored: [UInt8], limit: Int) throws(RecordsError) {
        var reader = try ZstdReader(stored)
        let start: [UInt8] = try reader.readExactly(Self.fixedBytes)
        guard Array(start[..<4]) == Self.magic, let format = RecordFormat(rawValue: start[4]) else {
            throw Self.corrupt("it does not begin as one")
        }
        let headerCount = Int(start.littleEndian(at: 8, as: UInt32.self))
        let recordCount = Int(start.littleEndian(at: 12, as: UInt32.self))
        let cutCount = Int(start.littleEndian(at: 16, as: UInt32.self))
        let byteCount = start.littleEndian(at: 20, as: UInt64.self)
        guard recordCount <= Int(Int32.max), cutCount <= recordCount, byteCount <= UInt64(UInt32.max) else {
            throw Self.corrupt("its counts are impossible")
        }
        let total = Self.fixedBytes + headerCount + recordCount * 4 + cutCount * Self.oversizeBytes + Int(byteCount)
        guard total <= limit else { throw Zstd.tooLarge(limit) }
        // What a frame's header announces is allocated only as far as zstd's own header bears it out.
        guard let announced = reader.announcedSize, announced == UInt64(total) else {
            throw Self.corrupt("its size differs from its counts")
        }
        let header: [UInt8] = try reader.readExactly(headerCount)
        let lengths: [UInt32] = try reader.readExactly(recordCount)
        let cut: [UInt8] = try reader.readExactly(cutCount * Self.oversizeBytes)
        let bytes: [UInt8] = try reader.readExactly(Int(byteCount))
        try reader.finish()
        guard lengths.reduce(0, { $0 + UInt64($1) + 1 }) == byteCount else {
            throw Self.corrupt("its records' lengths do not add up")
        }
        self.init(
            format: format, header: header, bytes: bytes, lengths: lengths,
            oversize: try Self.oversize(in: cut, records: recordCount))
    }

    private static func oversize(in cut: [UInt8], records: Int) throws(RecordsError) -> [Oversize] {
        var oversize: [Oversize] = []
        for start in stride(from: 0, to: cut.count, by: oversizeBytes) {
            let index = cut.littleEndian(at: start, as: UInt32.self)
            guard index < records, oversize.last.map({ $0.index < index }) ?? true else {
                throw corrupt("its list of cut records is impossible")
            }
            oversize.append(
                Oversize(
                    index: Int32(index), fullLength: cut.littleEndian(at: start + 4, as: UInt64.self),
                    sha256: Array(cut[(start + 12)..<(start + 44)])))
        }
        return oversize
    }

    private static func corrupt(_ what: String) -> RecordsError {
        RecordsError(.corruptFrame, "the stored batch is damaged: \(what)")
    }
}

extension ZstdReader {
    mutating func readExactly<Element: BitwiseCopyable>(_ count: Int) throws(RecordsError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(count)
        while elements.count < count {
            guard try read(upTo: count - elements.count, into: &elements) > 0 else {
                throw RecordsError(.corruptFrame, "the stored batch is cut short")
            }
        }
        return elements
    }
}

extension [UInt8] {
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        var rest = value
        for _ in 0..<(value.bitWidth / 8) {
            append(UInt8(truncatingIfNeeded: rest))
            rest >>= 8
        }
    }

    func littleEndian<Value: FixedWidthInteger>(at start: Int, as: Value.Type) -> Value {
        var value: Value = 0
        for i in (0..<(Value.bitWidth / 8)).reversed() {
            value = value << 8 | Value(truncatingIfNeeded: self[start + i])
        }
        return value
    }
}
