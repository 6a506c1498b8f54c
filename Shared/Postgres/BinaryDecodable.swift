/// A type that reads PostgreSQL's binary format (the types' `_send` functions).
protocol BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool
    /// Whether a value in text format may be read too.
    static var readsText: Bool { get }
    /// Nil if the bytes are no such value.
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32)
}

extension BinaryDecodable {
    static var readsText: Bool { false }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    func bigEndian<T: FixedWidthInteger>(_ type: T.Type, at offset: Int = 0) -> T {
        unsafe T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// An integer of two, four or eight bytes.
    @inline(__always)
    func integer() -> Int64? {
        switch count {
        case 8: unsafe bigEndian(Int64.self)
        case 4: Int64(unsafe bigEndian(Int32.self))
        case 2: Int64(unsafe bigEndian(Int16.self))
        default: nil
        }
    }
}

extension Int64: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool {
        type == TypeOID.int8 || type == TypeOID.int4 || type == TypeOID.int2 || type == TypeOID.xid8
    }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let value = unsafe bytes.integer() else { return nil }
        self = value
    }
}

extension Int: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { Int64.accepts(type) }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let value = unsafe bytes.integer() else { return nil }
        self = Int(value)
    }
}

extension Int32: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.int4 || type == TypeOID.int2 }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let value = unsafe bytes.integer() else { return nil }
        self = Int32(truncatingIfNeeded: value)
    }
}

extension Int16: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.int2 }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let value = unsafe bytes.integer() else { return nil }
        self = Int16(truncatingIfNeeded: value)
    }
}

extension Double: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.float8 || type == TypeOID.float4 }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        switch bytes.count {
        case 8: self = Double(bitPattern: unsafe bytes.bigEndian(UInt64.self))
        case 4: self = Double(Float(bitPattern: unsafe bytes.bigEndian(UInt32.self)))
        default: return nil
        }
    }
}

extension Bool: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.bool }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard bytes.count == 1 else { return nil }
        self = unsafe bytes[0] != 0
    }
}

extension String: BinaryDecodable {
    static var readsText: Bool { true }
    static func accepts(_ type: UInt32) -> Bool {
        switch type {
        case TypeOID.text, TypeOID.varchar, TypeOID.name, TypeOID.bpchar, TypeOID.char, TypeOID.json, TypeOID.jsonb,
            TypeOID.unknown:
            true
        default: type >= TypeOID.firstNormal
        }
    }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let text = unsafe TextBytes(bytes, type: type) else { return nil }
        self = unsafe String(decoding: text.bytes, as: UTF8.self)
    }
}

/// The text of a text-like value; jsonb's version byte is taken off.
@safe private struct TextBytes {
    let bytes: UnsafeRawBufferPointer

    init?(_ bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard type == TypeOID.jsonb else {
            unsafe self.bytes = unsafe bytes
            return
        }
        guard let version = unsafe bytes.first, version == PostgresValue.jsonbVersion else { return nil }
        unsafe self.bytes = unsafe UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    }
}

struct Bytea: BinaryDecodable {
    let bytes: [UInt8]
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.bytea }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) { self.bytes = unsafe Array(bytes) }
}

struct JSONText: BinaryDecodable {
    let bytes: [UInt8]
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.jsonb || type == TypeOID.json }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard let text = unsafe TextBytes(bytes, type: type) else { return nil }
        self.bytes = unsafe Array(text.bytes)
    }
}

struct Timestamp: BinaryDecodable {
    let micros: Int64
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.timestamptz || type == TypeOID.timestamp }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard bytes.count == 8 else { return nil }
        micros = unsafe bytes.bigEndian(Int64.self)
    }
}

struct CivilDay: BinaryDecodable {
    let days: Int32
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.date }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard bytes.count == 4 else { return nil }
        days = unsafe bytes.bigEndian(Int32.self)
    }
}

struct UUIDBytes: BinaryDecodable {
    let bytes: [UInt8]
    static func accepts(_ type: UInt32) -> Bool { type == TypeOID.uuid }
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard bytes.count == 16 else { return nil }
        self.bytes = unsafe Array(bytes)
    }
}
