/// Reads what `COPY … TO STDOUT (FORMAT binary)` sends straight into typed columns.
///
/// The bytes are collected as they come, in any pieces; ``finish()`` finds where each field lies in one pass, and then
/// fills one column after the other. Nothing is allocated for a row or a field.
public struct CopyBinaryDecoder: Sendable {
    /// What COPY's columns are, in their order.
    private let columns: [(name: String, type: ColumnType)]
    /// The name of a jsonb column that becomes the batch's ``RecordBatch/extra``.
    private let extra: String?
    /// What was collected.
    public private(set) var bytes: [UInt8] = []

    /// - Parameters:
    ///   - columns: names and types of the columns that are copied, in their order.
    ///   - extra: the one among them, of type jsonb, that holds what has no column of its own.
    public init(columns: [(name: String, type: ColumnType)], extra: String? = nil) {
        self.columns = columns
        self.extra = extra
    }

    /// For rows of a dataset's table, copied with these columns and, last, what has none of its own.
    public init(rows columns: [(name: String, type: ColumnType)]) {
        self.init(columns: columns + [(TableRecord.extra, .jsonb)], extra: TableRecord.extra)
    }

    /// Bytes collected so far.
    public var byteCount: Int { bytes.count }

    /// Appends a piece.
    public mutating func append(_ piece: [UInt8]) { bytes.append(contentsOf: piece) }

    /// The rows, numbered from 0. Below 2 GiB and 2³¹ rows.
    /// - Throws: `corruptCopy` unless the bytes are a whole COPY of these columns.
    public func finish() throws(RecordsError) -> RecordBatch {
        try batch(findFields(isWhole: true))
    }

    /// Takes the rows collected since the last call, which end where a row does, numbered from 0: for what is
    /// worked on piece by piece. What ends a COPY need not be there.
    /// - Throws: `corruptCopy` unless the bytes are whole rows of these columns.
    public mutating func takeRows() throws(RecordsError) -> RecordBatch {
        let rows = try batch(findFields(isWhole: false))
        bytes.removeAll(keepingCapacity: true)
        bytes += CopyBinaryEncoder.header
        return rows
    }

    private func batch(_ fields: [UInt32]) throws(RecordsError) -> RecordBatch {
        let rows = columns.isEmpty ? 0 : fields.count / columns.count
        var batch = RecordBatch(rows: (0..<rows).map { Int32(truncatingIfNeeded: $0) })
        batch.columns.reserveCapacity(columns.count)
        for (place, column) in columns.enumerated() {
            let fields = Fields(bytes: bytes, places: fields, first: place, step: columns.count, count: rows)
            let values = try fields.column(column.type)
            if column.name == extra { batch.extra = values } else { batch.columns.append(.init(column.name, values)) }
        }
        return batch
    }

    /// Where each field's length stands, row by row.
    private func findFields(isWhole: Bool) throws(RecordsError) -> [UInt32] {
        let header = CopyBinaryEncoder.header.count
        let data = bytes.span
        guard data.count >= header + (isWhole ? 2 : 0), data.count <= Int(Int32.max),
            bytes.starts(with: CopyBinaryEncoder.header)
        else {
            throw Self.corrupt(0)
        }
        var places: [UInt32] = []
        places.reserveCapacity(data.count / 12)
        var at = header
        while true {
            if !isWhole, at == data.count { return places }
            guard data.count - at >= 2 else { throw Self.corrupt(at) }
            let count = Int(data[at]) << 8 | Int(data[at + 1])
            at += 2
            if count == 0xFFFF, at == data.count { return places }
            guard count == columns.count else { throw Self.corrupt(at) }
            for _ in 0..<count {
                guard data.count - at >= 4 else { throw Self.corrupt(at) }
                places.append(UInt32(truncatingIfNeeded: at))
                let length = Int(Int32(bitPattern: Fields.word(data, at)))
                at += 4
                guard length >= -1, length <= data.count - at else { throw Self.corrupt(at) }
                at += max(0, length)
            }
        }
    }

    fileprivate static func corrupt(_ at: Int) -> RecordsError {
        RecordsError(.corruptCopy, "the rows are damaged at byte \(at)")
    }
}

/// One column's fields in the bytes of a COPY.
private struct Fields {
    let bytes: [UInt8]
    let places: [UInt32]
    let first: Int
    let step: Int
    let count: Int

    func column(_ type: ColumnType) throws(RecordsError) -> Column {
        switch type {
        case .int8, .timestamptz: try fixed(type, 8, zero: Int64(0), { Self.long($0, $1) }, ColumnStorage.int64)
        case .date:
            try fixed(
                type, 4, zero: Int64(0),
                { data, at in
                    let days = Int32(bitPattern: Self.word(data, at))
                    return days == .max ? .max : days == .min ? .min : Int64(days)
                }, ColumnStorage.int64)
        case .float8:
            try fixed(
                type, 8, zero: 0.0, { Double(bitPattern: UInt64(bitPattern: Self.long($0, $1))) },
                ColumnStorage.float64)
        case .bool: try fixed(type, 1, zero: UInt8(0), { $0[$1] != 0 ? 1 : 0 }, ColumnStorage.bool)
        case .text: try texts(type) { $1.append(contentsOf: bytes[$0]) }
        case .uuid: try texts(type) { $1.append(contentsOf: bytes[$0]) }
        // A version comes before the text.
        case .jsonb: try texts(type) { $1.append(contentsOf: bytes[$0.dropFirst()]) }
        case .numeric: try numerics()
        }
    }

    @inline(__always)
    private func fixed<Value>(
        _ type: ColumnType, _ width: Int32, zero: Value, _ read: (Span<UInt8>, Int) -> Value,
        _ storage: ([Value]) -> ColumnStorage
    ) throws(RecordsError) -> Column {
        var values = [Value](repeating: zero, count: count)
        var validity = [UInt8](repeating: 0, count: count)
        let data = bytes.span
        var index = first
        for row in 0..<count {
            let at = Int(places[index])
            index += step
            let length = Int32(bitPattern: Self.word(data, at))
            if length == width {
                values[row] = read(data, at + 4)
                validity[row] = 1
            } else if length >= 0 {
                throw CopyBinaryDecoder.corrupt(at)
            }
        }
        return Column(type, storage(values), validity: validity)
    }

    /// A column of byte strings; `append` adds the value that lies in a range of the bytes.
    private func texts(_ type: ColumnType, _ append: (Range<Int>, inout [UInt8]) -> Void) throws(RecordsError) -> Column
    {
        var values = ByteColumn(reserving: count, bytes: bytes.count / step)
        var validity = [UInt8](repeating: 0, count: count)
        let data = bytes.span
        var index = first
        for row in 0..<count {
            let at = Int(places[index])
            index += step
            let length = Int(Int32(bitPattern: Self.word(data, at)))
            if length >= 0 {
                append(at + 4..<at + 4 + length, &values.data)
                validity[row] = 1
            }
            values.endValue()
        }
        return Column(type, .bytes(values), validity: validity)
    }

    private func numerics() throws(RecordsError) -> Column {
        var damaged: Int?
        let column = try texts(.numeric) { range, output in
            if !NumericCoding.decode(bytes.span.extracting(range), into: &output) { damaged = range.lowerBound }
        }
        if let damaged { throw CopyBinaryDecoder.corrupt(damaged) }
        return column
    }

    @inline(__always)
    static func word(_ data: Span<UInt8>, _ at: Int) -> UInt32 {
        UInt32(data[at]) << 24 | UInt32(data[at + 1]) << 16 | UInt32(data[at + 2]) << 8 | UInt32(data[at + 3])
    }

    @inline(__always)
    static func long(_ data: Span<UInt8>, _ at: Int) -> Int64 {
        Int64(bitPattern: UInt64(word(data, at)) << 32 | UInt64(word(data, at + 4)))
    }
}
