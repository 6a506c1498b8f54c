/// Rows in PostgreSQL's binary COPY format (`COPY … FROM STDIN (FORMAT binary)`).
///
/// Each row holds the three lineage columns first, then the batch's columns in order; ``columnNames(of:)`` names them
/// for the COPY statement. A COPY's bytes are ``header``, the rows of any number of batches, ``trailer``.
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

    /// Rows encoded together: few enough to stay in the cache.
    private static let blockRows = 512
    /// Field count, `_batch`, `_row`, `_out` with their lengths.
    private static let lineageBytes = 2 + 12 + 8 + 8

    public init(batch: Int64, output: Int32) {
        self.batch = batch
        self.output = output
    }

    /// The columns of the rows, in their order.
    public static func columnNames(of batch: RecordBatch) -> [String] {
        lineageColumns + batch.columns.map(\.name)
    }

    /// The rows. Every column has to be typed, and at most 1,597 fit into a table.
    /// - Throws: `untypedColumn` for a column without type.
    public func encode(_ batch: RecordBatch) throws(RecordsError) -> [UInt8] {
        var fields: [CopyField] = []
        fields.reserveCapacity(batch.columns.count)
        for named in batch.columns {
            guard let field = CopyField(named.column) else {
                throw RecordsError(.untypedColumn, "column \(named.name) has no type yet")
            }
            fields.append(field)
        }
        var (places, size) = Self.places(batch.rowCount, fields)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        unsafe bytes.appendUnsafely(upTo: size) { base, used in
            let base = UnsafeMutableRawPointer(base)
            for first in stride(from: 0, to: batch.rowCount, by: Self.blockRows) {
                let block = first..<min(batch.rowCount, first + Self.blockRows)
                unsafe writeLineage(block, batch.rows, to: base, at: &places, fields: fields.count)
                for field in fields { unsafe field.write(block, to: base, at: &places) }
            }
            used += size
        }
        return bytes
    }

    /// Where each row begins, and the length of all.
    private static func places(_ rows: Int, _ fields: [CopyField]) -> (places: [Int], size: Int) {
        let bare = lineageBytes + fields.count * CopyField.nullBytes
        var places = [Int](repeating: bare, count: rows)
        for field in fields { field.addLengths(to: &places) }
        var start = 0
        for i in places.indices {
            let length = places[i]
            places[i] = start
            start += length
        }
        return (places, start)
    }

    private func writeLineage(
        _ block: Range<Int>, _ ordinals: [Int32], to base: UnsafeMutableRawPointer, at places: inout [Int], fields: Int
    ) {
        let fieldCount = Int16(truncatingIfNeeded: fields + 3).bigEndian
        let batch = batch.bigEndian
        let output = output.bigEndian
        for i in block {
            let row = unsafe base + places[i]
            unsafe row.storeBytes(of: fieldCount, as: Int16.self)
            unsafe row.storeBytes(of: Int32(8).bigEndian, toByteOffset: 2, as: Int32.self)
            unsafe row.storeBytes(of: batch, toByteOffset: 6, as: Int64.self)
            unsafe row.storeBytes(of: Int32(4).bigEndian, toByteOffset: 14, as: Int32.self)
            unsafe row.storeBytes(of: ordinals[i].bigEndian, toByteOffset: 18, as: Int32.self)
            unsafe row.storeBytes(of: Int32(4).bigEndian, toByteOffset: 22, as: Int32.self)
            unsafe row.storeBytes(of: output, toByteOffset: 26, as: Int32.self)
            places[i] += Self.lineageBytes
        }
    }
}
