/// Arrays of one dimension (`array_send`): dimensions, a flag for NULLs, the element type, then for each dimension its
/// length and lower bound, then each element with its length, -1 for NULL.
extension Array: BinaryDecodable where Element: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { true }

    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        guard var reader = unsafe ArrayReader(bytes), Element.accepts(reader.elementType) else { return nil }
        self.init()
        reserveCapacity(reader.count)
        for _ in 0..<reader.count {
            guard let length = reader.nextLength() else { return nil }
            guard length >= 0 || Element.readsNull else { return nil }
            let element = unsafe reader.take(length)
            guard let value = unsafe Element(binary: element, type: length < 0 ? .max : reader.elementType) else {
                return nil
            }
            append(value)
        }
    }
}

extension BinaryDecodable {
    static var readsNull: Bool { Self.self is any NullReading.Type }
}

/// Marks the element types that have a value for NULL.
private protocol NullReading {}
extension Optional: NullReading where Wrapped: BinaryDecodable {}

extension Optional: BinaryDecodable where Wrapped: BinaryDecodable {
    static func accepts(_ type: UInt32) -> Bool { Wrapped.accepts(type) }

    /// An element of an array; `type` is `.max` for NULL.
    init?(binary bytes: UnsafeRawBufferPointer, type: UInt32) {
        if type == .max {
            self = .none
            return
        }
        guard let value = unsafe Wrapped(binary: bytes, type: type) else { return nil }
        self = .some(value)
    }
}

/// Walks an array's bytes without ever reading past their end.
@safe private struct ArrayReader {
    private let bytes: UnsafeRawBufferPointer
    private var offset: Int
    let elementType: UInt32
    let count: Int

    /// Nil unless the header is whole and says no or one dimension, of as many elements as there is room for.
    init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= 12 else { return nil }
        unsafe self.bytes = unsafe bytes
        let dimensions = unsafe bytes.bigEndian(Int32.self)
        elementType = unsafe bytes.bigEndian(UInt32.self, at: 8)
        if dimensions == 0 {
            count = 0
            offset = 12
            return
        }
        guard dimensions == 1, bytes.count >= 20 else { return nil }
        count = Int(unsafe bytes.bigEndian(Int32.self, at: 12))
        offset = 20
        guard count >= 0, count <= (bytes.count - 20) / 4 else { return nil }
    }

    /// The next element's length, -1 for NULL; nil if the element would end past the array.
    mutating func nextLength() -> Int? {
        guard unsafe offset + 4 <= bytes.count else { return nil }
        let length = Int(unsafe bytes.bigEndian(Int32.self, at: offset))
        offset += 4
        guard length >= -1, unsafe length <= bytes.count - offset else { return nil }
        return length
    }

    mutating func take(_ length: Int) -> UnsafeRawBufferPointer {
        let start = offset
        offset += max(length, 0)
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<offset])
    }
}
