private import CSimdJSON

/// What a ``RecordDecoder`` keeps to.
public struct DecodeLimits: Sendable {
    /// Columns a batch may have; further fields go to ``RecordBatch/extra``.
    public var columns: Int
    /// How deep a record may nest, itself included; at most 1,000.
    public var depth: Int
    /// Names listed in ``RecordBatch/extraNames``; at most 2,000.
    public var extraNames: Int
    /// Columns times records: a batch with more than 64 columns takes no further one beyond this.
    public var cells: Int

    public init(columns: Int = 2_000, depth: Int = 128, extraNames: Int = 1_000, cells: Int = 32 << 20) {
        self.columns = max(1, min(columns, 1 << 20))
        self.depth = max(1, min(depth, 1_000))
        self.extraNames = max(0, min(extraNames, 2_000))
        self.cells = max(1, cells)
    }
}

/// Turns a frame's records into columns.
///
/// A record becomes a row or one fault, with one of the codes `not_an_object`, `invalid_json`, `invalid_utf8`,
/// `nul_character`, `lone_surrogate`, `too_deep`, `number_out_of_range` (a number PostgreSQL's numeric cannot hold),
/// `record_too_large`, `csv_column_count` and `invalid_csv`.
///
/// - NDJSON and JSON: a column for each field, untyped, in the order of first appearance. Of a repeated key the last
///   counts; a field a record lacks is missing.
/// - CSV: a column for each name of the header row, untyped cells. An unquoted empty field is NULL, `""` the empty
///   string. Of a repeated name the last counts.
/// - Text: one column `line`, typed text.
///
/// Allocations grow with columns and the logarithm of the bytes, not with records or fields.
public struct RecordDecoder: Sendable {
    public let limits: DecodeLimits

    public init(limits: DecodeLimits = DecodeLimits()) { self.limits = limits }

    /// Decodes the whole frame. `faults` are in the records' order.
    /// - Throws: `corruptFrame` where lengths and bytes do not agree, `library` when memory ran out.
    public func decode(
        _ frame: BatchFrame
    ) throws(RecordsError) -> (batch: RecordBatch, faults: [RowFault]) {
        guard frame.lengths.reduce(0, { $0 + Int($1) + 1 }) == frame.bytes.count else {
            throw RecordsError(.corruptFrame, "the records' lengths do not add up")
        }
        let shredder = try Shredder(limits)
        try shredder.shred(frame)
        var batch = shredder.batch()
        if frame.format == .text {
            let line = batch.columns[0].column
            let rows = batch.rows
            batch.columns[0].column = line.cast(to: .text, rows: rows, name: "line").column
        }
        return (batch, shredder.faults(frame))
    }
}

/// Owns the shim's shredder for one frame.
@safe private struct Shredder: ~Copyable {
    private let pointer: OpaquePointer

    init(_ limits: DecodeLimits) throws(RecordsError) {
        let limits = mr_limits(
            columns: UInt32(limits.columns), depth: UInt32(limits.depth), names: UInt32(limits.extraNames),
            cells: UInt64(limits.cells))
        guard let pointer = unsafe mr_shredder_new(limits) else { throw Self.noMemory }
        unsafe self.pointer = pointer
    }

    deinit { unsafe mr_shredder_free(pointer) }

    private static var noMemory: RecordsError { RecordsError(.library, "no memory for a batch's columns") }

    func shred(_ frame: BatchFrame) throws(RecordsError) {
        let cut = frame.oversize.map(\.index)
        let status = unsafe frame.bytes.withUnsafeBufferPointer { bytes in
            unsafe frame.lengths.withUnsafeBufferPointer { lengths in
                unsafe cut.withUnsafeBufferPointer { cut in
                    var raw = unsafe mr_frame(
                        bytes: bytes.baseAddress, size: bytes.count, lengths: lengths.baseAddress,
                        count: lengths.count, cut: cut.baseAddress, cut_count: cut.count)
                    return switch frame.format {
                    case .ndjson, .json: unsafe mr_shred_json(pointer, &raw)
                    case .csv: unsafe mr_shred_csv(pointer, &raw, frame.header, frame.header.count)
                    case .text: unsafe mr_shred_text(pointer, &raw)
                    }
                }
            }
        }
        guard status == 0 else { throw Self.noMemory }
    }

    func batch() -> RecordBatch {
        let count = unsafe mr_shred_row_count(pointer)
        let rows: [Int32] = unsafe copy(
            UnsafeRawPointer(mr_shred_rows(pointer))?.assumingMemoryBound(to: Int32.self), count)
        var batch = RecordBatch(rows: rows)
        for index in 0..<(unsafe mr_shred_column_count(pointer)) {
            let column = unsafe mr_shred_column(pointer, index)
            guard unsafe column.name_length > 0 else { continue }
            let name = unsafe String(
                decoding: UnsafeBufferPointer(start: column.name, count: column.name_length), as: UTF8.self)
            let values = unsafe VariantColumn(
                kinds: copy(column.kinds, count), payloads: copy(column.payloads, count),
                arena: copy(column.arena, column.arena_size))
            batch.columns.append(NamedColumn(name, Column(untyped: values)))
        }
        addExtra(to: &batch, count)
        return batch
    }

    private func addExtra(to batch: inout RecordBatch, _ count: Int) {
        let extra = unsafe mr_shred_extra(pointer)
        guard unsafe extra.rows_with > 0 else { return }
        let offsets: [UInt32] = unsafe copy(extra.offsets, count + 1)
        let data: [UInt8] = unsafe copy(extra.data, Int(offsets[count]))
        let validity = (0..<count).map { UInt8(offsets[$0 + 1] > offsets[$0] ? 1 : 0) }
        batch.extra = Column(.jsonb, .bytes(ByteColumn(offsets: offsets, data: data)), validity: validity)
        for index in 0..<(unsafe mr_shred_extra_name_count(pointer)) {
            var length = 0
            let name = unsafe mr_shred_extra_name(pointer, index, &length)
            batch.extraNames.append(
                unsafe String(decoding: UnsafeBufferPointer(start: name, count: length), as: UTF8.self))
        }
    }

    func faults(_ frame: BatchFrame) -> [RowFault] {
        var cut = frame.oversize[...]
        return (0..<(unsafe mr_shred_fault_count(pointer))).map { index in
            let fault = unsafe mr_shred_fault(pointer, index)
            let row = Int32(bitPattern: fault.record)
            var fullLength: UInt64?
            if Int(fault.code) == MR_FAULT_TOO_LARGE { fullLength = cut.popFirst()?.fullLength }
            return DecodeFault(raw: fault).fault(row: row, frame: frame, fullLength: fullLength)
        }
    }

    private func copy<Element: BitwiseCopyable>(_ start: UnsafePointer<Element>?, _ count: Int) -> [Element] {
        unsafe Array(UnsafeBufferPointer(start: count == 0 ? nil : start, count: count))
    }
}

extension DecodeFault {
    fileprivate init(raw: mr_fault) {
        self.init(code: Int(raw.code), why: Int(raw.why), at: Int(raw.at), found: Int(raw.found))
    }
}
