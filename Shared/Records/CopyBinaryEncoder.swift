/// Rows in PostgreSQL's binary COPY format (`COPY … FROM STDIN (FORMAT binary)`).
///
/// Each row holds the three lineage columns first, then the batch's columns in order; ``columnNames(of:)`` names them
/// for the COPY statement. A COPY's bytes are ``header``, any number of rows from any number of chunks, ``trailer``.
public struct CopyBinaryEncoder: Sendable {
    /// What a COPY's data begin with: signature, no flags, no extension.
    public static let header: [UInt8] = Array("PGCOPY\n".utf8) + [0xFF, 0x0D, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    /// What they end with.
    public static let trailer: [UInt8] = [0xFF, 0xFF]
    /// `_batch int8`, `_row int4` (the record's ordinal), `_out int4`.
    public static let lineageColumns = ["_batch", "_row", "_out"]

    /// The batch's id in landing.
    public let batch: Int64
    /// The pipeline's output.
    public let output: Int32
    /// About how long a piece is; only a single row makes one longer.
    public let pieceBytes: Int

    public init(batch: Int64, output: Int32, pieceBytes: Int = 1 << 20) {
        self.batch = batch
        self.output = output
        self.pieceBytes = max(1, pieceBytes)
    }

    /// The columns of the rows, in their order.
    public static func columnNames(of batch: RecordBatch) -> [String] {
        lineageColumns + batch.columns.map(\.name)
    }

    /// The rows in pieces, each of whole rows. Every column has to be typed, and at most 1,597 fit into a table.
    /// - Throws: `untypedColumn` for a column without type.
    public func pieces(of batch: RecordBatch) throws(RecordsError) -> CopyBinaryPieces {
        var fields: [CopyField] = []
        fields.reserveCapacity(batch.columns.count)
        for named in batch.columns {
            guard let field = CopyField(named.column) else {
                throw RecordsError(.untypedColumn, "column \(named.name) has no type yet")
            }
            fields.append(field)
        }
        return CopyBinaryPieces(encoder: self, rows: batch.rows, fields: fields)
    }

    /// All rows at once.
    public func encode(_ batch: RecordBatch) throws(RecordsError) -> [UInt8] {
        var all: [UInt8] = []
        for piece in try pieces(of: batch) { all = all.isEmpty ? piece : all + piece }
        return all
    }
}

/// A batch's rows, encoded piece by piece as they are asked for.
public struct CopyBinaryPieces: Sequence, IteratorProtocol, Sendable {
    private let encoder: CopyBinaryEncoder
    private let rows: [Int32]
    private let fields: [CopyField]
    private var nextRow = 0
    /// Of each row of a block its length, and then where its next field goes.
    private var places: [Int] = []

    /// Rows encoded together: few enough to stay in the cache.
    private static let blockRows = 512
    /// Field count, `_batch`, `_row`, `_out` with their lengths.
    private static let lineageBytes = 2 + 12 + 8 + 8

    init(encoder: CopyBinaryEncoder, rows: [Int32], fields: [CopyField]) {
        self.encoder = encoder
        self.rows = rows
        self.fields = fields
    }

    public mutating func next() -> [UInt8]? {
        guard nextRow < rows.count else { return nil }
        var piece: [UInt8] = []
        piece.reserveCapacity(encoder.pieceBytes)
        while nextRow < rows.count {
            let room = encoder.pieceBytes - piece.count
            let (count, size) = measure(room: room, mustTake: piece.isEmpty)
            guard count > 0 else { break }
            piece.grow(by: size)
            unsafe piece.appendUnsafely(upTo: size) { base, used in
                unsafe write(count, to: UnsafeMutableRawPointer(base + used))
                used += size
            }
            nextRow += count
        }
        return piece
    }

    /// How many of the next rows fit, and their length. Leaves in `places` where each of them begins.
    private mutating func measure(room: Int, mustTake: Bool) -> (count: Int, size: Int) {
        let block = nextRow..<Swift.min(rows.count, nextRow + Self.blockRows)
        let bare = Self.lineageBytes + fields.reduce(0) { $0 + $1.nullBytes }
        places.removeAll(keepingCapacity: true)
        places.append(contentsOf: repeatElement(bare, count: block.count))
        for field in fields { field.addLengths(block, to: &places) }
        var start = 0
        var count = 0
        for i in places.indices {
            let length = places[i]
            if start + length > room, !(mustTake && count == 0) { break }
            places[i] = start
            start += length
            count += 1
        }
        return (count, start)
    }

    private mutating func write(_ count: Int, to base: UnsafeMutableRawPointer) {
        let fieldCount = Int16(truncatingIfNeeded: fields.count + 3).bigEndian
        let batch = encoder.batch.bigEndian
        let output = encoder.output.bigEndian
        for i in 0..<count {
            let row = unsafe base + places[i]
            unsafe row.storeBytes(of: fieldCount, as: Int16.self)
            unsafe row.storeBytes(of: Int32(8).bigEndian, toByteOffset: 2, as: Int32.self)
            unsafe row.storeBytes(of: batch, toByteOffset: 6, as: Int64.self)
            unsafe row.storeBytes(of: Int32(4).bigEndian, toByteOffset: 14, as: Int32.self)
            unsafe row.storeBytes(of: rows[nextRow + i].bigEndian, toByteOffset: 18, as: Int32.self)
            unsafe row.storeBytes(of: Int32(4).bigEndian, toByteOffset: 22, as: Int32.self)
            unsafe row.storeBytes(of: output, toByteOffset: 26, as: Int32.self)
            places[i] += Self.lineageBytes
        }
        for field in fields { unsafe field.write(nextRow..<nextRow + count, to: base, at: &places) }
    }
}
