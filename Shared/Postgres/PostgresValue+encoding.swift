/// Appending values in PostgreSQL's binary formats (the types' `_recv` functions): big-endian, without a length.
extension PostgresValue {
    /// Appends the value's bytes; NULL has none.
    func encode(into buffer: inout [UInt8]) {
        switch self {
        case .null: break
        case .bool(let value): buffer.append(value ? 1 : 0)
        case .int2(let value): buffer.append(bigEndian: value)
        case .int4(let value): buffer.append(bigEndian: value)
        case .int8(let value): buffer.append(bigEndian: value)
        case .float8(let value): buffer.append(bigEndian: value.bitPattern)
        case .text(let value), .inferred(let value): buffer.append(contentsOf: value.utf8)
        case .bytes(let value), .uuid(let value): buffer.append(contentsOf: value)
        case .json(let value):
            buffer.append(Self.jsonbVersion)
            buffer.append(contentsOf: value)
        case .timestamp(let micros): buffer.append(bigEndian: micros)
        case .date(let days): buffer.append(bigEndian: days)
        case .interval(let micros):
            buffer.append(bigEndian: micros)
            buffer.append(bigEndian: Int32(0))
            buffer.append(bigEndian: Int32(0))
        default: encodeArray(into: &buffer)
        }
    }

    static let jsonbVersion: UInt8 = 1

    private func encodeArray(into buffer: inout [UInt8]) {
        switch self {
        case .boolArray(let values): buffer.appendArray(values, TypeOID.bool) { $0.append($1 ? 1 : 0) }
        case .int2Array(let values): buffer.appendIntegers(values, TypeOID.int2)
        case .int4Array(let values): buffer.appendIntegers(values, TypeOID.int4)
        case .int8Array(let values): buffer.appendIntegers(values, TypeOID.int8)
        case .timestampArray(let values): buffer.appendIntegers(values, TypeOID.timestamptz)
        case .float8Array(let values):
            buffer.appendArray(values, TypeOID.float8) { $0.append(bigEndian: $1.bitPattern) }
        case .optionalInt8Array(let values):
            buffer.appendNullableArray(values, TypeOID.int8) { $0.append(bigEndian: $1) }
        case .textArray(let values):
            buffer.appendNullableArray(values, TypeOID.text) { $0.append(contentsOf: $1.utf8) }
        case .byteaArray(let values):
            buffer.appendArray(values, TypeOID.bytea) { $0.append(contentsOf: $1) }
        case .jsonArray(let values):
            buffer.appendArray(values, TypeOID.jsonb) {
                $0.append(Self.jsonbVersion)
                $0.append(contentsOf: $1)
            }
        default: break
        }
    }
}

extension [UInt8] {
    @inline(__always)
    mutating func append(bigEndian value: some FixedWidthInteger) {
        var shift = value.bitWidth
        while shift > 0 {
            shift -= 8
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    mutating func put(bigEndian value: Int32, at offset: Int) {
        for index in 0..<4 { self[offset + index] = UInt8(truncatingIfNeeded: value >> (24 - 8 * Int32(index))) }
    }

    /// The header of a one-dimensional array (`array_recv`); one without elements has no dimension.
    private mutating func appendArrayHeader(count: Int, element: UInt32, nulls: Bool) {
        append(bigEndian: Int32(count == 0 ? 0 : 1))
        append(bigEndian: Int32(nulls ? 1 : 0))
        append(bigEndian: element)
        guard count > 0 else { return }
        append(bigEndian: Int32(count))
        append(bigEndian: Int32(1))
    }

    mutating func appendIntegers<T: FixedWidthInteger>(_ values: [T], _ element: UInt32) {
        appendArrayHeader(count: values.count, element: element, nulls: false)
        let size = Int32(T.bitWidth / 8)
        reserveCapacity(count + values.count * Int(size + 4))
        for value in values {
            append(bigEndian: size)
            append(bigEndian: value)
        }
    }

    mutating func appendArray<T>(_ values: [T], _ element: UInt32, _ encode: (inout [UInt8], T) -> Void) {
        appendArrayHeader(count: values.count, element: element, nulls: false)
        for value in values { appendElement { encode(&$0, value) } }
    }

    mutating func appendNullableArray<T>(_ values: [T?], _ element: UInt32, _ encode: (inout [UInt8], T) -> Void) {
        appendArrayHeader(count: values.count, element: element, nulls: values.contains { $0 == nil })
        for value in values {
            if let value {
                appendElement { encode(&$0, value) }
            } else {
                append(bigEndian: Int32(-1))
            }
        }
    }

    @inline(__always)
    private mutating func appendElement(_ encode: (inout [UInt8]) -> Void) {
        let start = count
        append(bigEndian: Int32(0))
        encode(&self)
        put(bigEndian: Int32(clamping: count - start - 4), at: start)
    }
}
