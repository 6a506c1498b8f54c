/// One row of a result. Reading a value checks its type, so that a statement that does not fit its decoder fails with
/// `.decode` and the column's name instead of giving a wrong value.
public struct PostgresRow: Sendable {
    public let result: PostgresResult
    let index: Int32

    /// int2, int4 or int8.
    public func int(_ column: Int) throws(PostgresError) -> Int { try value(column, as: Int.self) }
    public func int2(_ column: Int) throws(PostgresError) -> Int16 { try value(column, as: Int16.self) }
    public func int4(_ column: Int) throws(PostgresError) -> Int32 { try value(column, as: Int32.self) }
    /// int8, or a smaller integer.
    public func int8(_ column: Int) throws(PostgresError) -> Int64 { try value(column, as: Int64.self) }
    /// float8 or float4.
    public func float8(_ column: Int) throws(PostgresError) -> Double { try value(column, as: Double.self) }
    public func bool(_ column: Int) throws(PostgresError) -> Bool { try value(column, as: Bool.self) }
    /// text, varchar, name, char, json, jsonb, or an enum; in text format any type.
    public func text(_ column: Int) throws(PostgresError) -> String { try value(column, as: String.self) }
    /// bytea.
    public func bytes(_ column: Int) throws(PostgresError) -> [UInt8] { try value(column, as: Bytea.self).bytes }
    /// jsonb or json, as JSON text in UTF-8.
    public func json(_ column: Int) throws(PostgresError) -> [UInt8] { try value(column, as: JSONText.self).bytes }
    /// timestamptz or timestamp in microseconds since 2000-01-01 (UTC).
    public func timestamp(_ column: Int) throws(PostgresError) -> Int64 { try value(column, as: Timestamp.self).micros }
    /// Days since 2000-01-01.
    public func date(_ column: Int) throws(PostgresError) -> Int32 { try value(column, as: CivilDay.self).days }
    /// 16 bytes.
    public func uuid(_ column: Int) throws(PostgresError) -> [UInt8] { try value(column, as: UUIDBytes.self).bytes }
    public func int4Array(_ column: Int) throws(PostgresError) -> [Int32] { try value(column, as: [Int32].self) }
    public func int8Array(_ column: Int) throws(PostgresError) -> [Int64] { try value(column, as: [Int64].self) }
    public func float8Array(_ column: Int) throws(PostgresError) -> [Double] { try value(column, as: [Double].self) }
    public func textArray(_ column: Int) throws(PostgresError) -> [String] { try value(column, as: [String].self) }
    public func byteaArray(_ column: Int) throws(PostgresError) -> [[UInt8]] {
        try value(column, as: [Bytea].self).map(\.bytes)
    }

    public func isNull(_ column: Int) -> Bool {
        unsafe result.withBytes(index, column) { unsafe $0 == nil }
    }

    /// Calls `body` with the value's bytes as they came, without a copy; nil without a call for NULL.
    @inline(__always)
    public func withSpan<T>(_ column: Int, _ body: (Span<UInt8>) -> T) -> T? {
        unsafe result.withBytes(index, column) { bytes in
            guard let bytes = unsafe bytes else { return nil }
            return body(unsafe Span(_unsafeBytes: bytes))
        }
    }

    /// Calls `body` with the value's bytes as they came, without a copy; nil for NULL.
    public func withBytes<T, E: Error>(
        _ column: Int, _ body: (UnsafeRawBufferPointer?) throws(E) -> T
    ) throws(E) -> T {
        unsafe try result.withBytes(index, column, body)
    }
}

extension PostgresRow {
    public func optionalInt(_ column: Int) throws(PostgresError) -> Int? { try optional(column, as: Int.self) }
    public func optionalInt2(_ column: Int) throws(PostgresError) -> Int16? { try optional(column, as: Int16.self) }
    public func optionalInt4(_ column: Int) throws(PostgresError) -> Int32? { try optional(column, as: Int32.self) }
    public func optionalInt8(_ column: Int) throws(PostgresError) -> Int64? { try optional(column, as: Int64.self) }
    public func optionalFloat8(_ column: Int) throws(PostgresError) -> Double? { try optional(column, as: Double.self) }
    public func optionalBool(_ column: Int) throws(PostgresError) -> Bool? { try optional(column, as: Bool.self) }
    public func optionalText(_ column: Int) throws(PostgresError) -> String? { try optional(column, as: String.self) }
    public func optionalBytes(_ column: Int) throws(PostgresError) -> [UInt8]? {
        try optional(column, as: Bytea.self)?.bytes
    }
    public func optionalJSON(_ column: Int) throws(PostgresError) -> [UInt8]? {
        try optional(column, as: JSONText.self)?.bytes
    }
    public func optionalTimestamp(_ column: Int) throws(PostgresError) -> Int64? {
        try optional(column, as: Timestamp.self)?.micros
    }
    public func optionalDate(_ column: Int) throws(PostgresError) -> Int32? {
        try optional(column, as: CivilDay.self)?.days
    }
    public func optionalUUID(_ column: Int) throws(PostgresError) -> [UInt8]? {
        try optional(column, as: UUIDBytes.self)?.bytes
    }
    public func optionalInt8Array(_ column: Int) throws(PostgresError) -> [Int64]? {
        try optional(column, as: [Int64].self)
    }
    public func optionalTextArray(_ column: Int) throws(PostgresError) -> [String]? {
        try optional(column, as: [String].self)
    }
    /// A text array whose elements may be NULL.
    public func textArrayOfOptionals(_ column: Int) throws(PostgresError) -> [String?] {
        try value(column, as: [String?].self)
    }
    /// An int8 array whose elements may be NULL.
    public func int8ArrayOfOptionals(_ column: Int) throws(PostgresError) -> [Int64?] {
        try value(column, as: [Int64?].self)
    }
}

extension PostgresRow {
    @inline(__always)
    private func value<T: BinaryDecodable>(_ column: Int, as type: T.Type) throws(PostgresError) -> T {
        if let value = try optional(column, as: type) { return value }
        throw fault(column, "is null")
    }

    @inline(__always)
    private func optional<T: BinaryDecodable>(_ column: Int, as type: T.Type) throws(PostgresError) -> T? {
        unsafe try result.withBytes(index, column) { bytes throws(PostgresError) -> T? in
            guard let bytes = unsafe bytes else { return nil }
            let isText = result.isText(column)
            let type = isText ? TypeOID.text : result.typeOID(column)
            guard isText ? T.readsText : T.accepts(type) else {
                throw fault(column, "is of type \(result.typeOID(column)), not \(T.self)")
            }
            if let value = unsafe T(binary: bytes, type: type) { return value }
            throw fault(column, "has a value that is no \(T.self)")
        }
    }

    @inline(never)
    private func fault(_ column: Int, _ what: String) -> PostgresError {
        let name = result.columns[column].name
        return PostgresError(.decode, "column \(column) (\(name)) \(what)", doing: "decode")
    }
}
