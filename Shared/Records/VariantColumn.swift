/// How an untyped value came.
public enum VariantKind: UInt8, Sendable {
    /// The record has no such field.
    case missing = 0
    /// JSON null, or an unquoted empty CSV field.
    case null = 1
    case `false` = 2
    case `true` = 3
    /// A JSON number that is an integer within Int64, written canonically; the payload is its value.
    case int = 4
    /// Any other JSON number; the payload places its text as it was written.
    case number = 5
    /// A JSON string; the payload places its unescaped UTF-8.
    case string = 6
    /// A JSON array or object; the payload places its text, which is valid JSON that PostgreSQL takes as jsonb.
    case json = 7
    /// A field of a text format (CSV, a parsed line); the payload places its UTF-8. Its type is inferred by content.
    case cell = 8

    /// Kinds from this one on are present values; those below are NULL.
    public static let firstPresent: UInt8 = 2
    /// Kinds from this one on have their payload in the arena.
    public static let firstPlaced: UInt8 = 5
}

/// Values as they came from a record, before any type is decided: a kind and 8 bytes each.
public struct VariantColumn: Sendable {
    /// ``VariantKind`` raw values.
    public var kinds: [UInt8]
    /// An int's two's complement value; or, of a placed value, its offset in the arena times 2³² plus its length.
    public var payloads: [UInt64]
    /// Bytes of the placed values, below 4 GiB; may hold bytes that no value refers to.
    public var arena: [UInt8]

    public init(kinds: [UInt8] = [], payloads: [UInt64] = [], arena: [UInt8] = []) {
        assert(kinds.count == payloads.count)
        self.kinds = kinds
        self.payloads = payloads
        self.arena = arena
    }

    @inlinable public var count: Int { kinds.count }

    @inlinable public func kind(_ row: Int) -> VariantKind { VariantKind(rawValue: kinds[row]) ?? .missing }

    @inlinable public func int(_ row: Int) -> Int64 { Int64(bitPattern: payloads[row]) }

    /// Where a placed value's bytes are in the arena.
    @inlinable public func range(_ row: Int) -> Range<Int> { Self.range(of: payloads[row]) }

    /// Where a placed value's payload says its bytes are.
    @inlinable static func range(of payload: UInt64) -> Range<Int> {
        let start = Int(payload >> 32)
        return start..<start + Int(payload & 0xFFFF_FFFF)
    }

    /// The bytes of a placed value (number, string, json, cell).
    @inlinable public subscript(row: Int) -> ArraySlice<UInt8> { arena[range(row)] }

    @inlinable public mutating func append(_ kind: VariantKind, payload: UInt64 = 0) {
        kinds.append(kind.rawValue)
        payloads.append(payload)
    }

    @inlinable public mutating func append(_ kind: VariantKind, placing bytes: some Collection<UInt8>) {
        let start = arena.count
        arena.append(contentsOf: bytes)
        append(kind, payload: UInt64(start) << 32 | UInt64(arena.count - start))
    }
}
