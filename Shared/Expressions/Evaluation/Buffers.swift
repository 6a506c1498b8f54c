import Records

/// A Swift type that stands for values of SQL types in kernels.
protocol SQLValue: SendableMetatype {
    associatedtype Buffer: ValueBuffer where Buffer.Value == Self
}

/// The entries of a vector, read and written as one Swift type.
protocol ValueBuffer: SendableMetatype {
    associatedtype Value
    init(reserving count: Int)
    init(_ values: Values)
    var values: Values { get }
    subscript(index: Int) -> Value { get }
    mutating func append(_ value: Value)
    /// Adds an entry whose content means nothing.
    mutating func appendAbsent()
}

struct IntBuffer: ValueBuffer {
    var storage: [Int64] = []

    init(reserving count: Int) { storage.reserveCapacity(count) }

    init(_ values: Values) {
        guard case .int64(let storage) = values else { preconditionFailure("not integers") }
        self.storage = storage
    }

    var values: Values { .int64(storage) }
    subscript(index: Int) -> Int64 { storage[index] }
    mutating func append(_ value: Int64) { storage.append(value) }
    mutating func appendAbsent() { storage.append(0) }
}

struct DoubleBuffer: ValueBuffer {
    var storage: [Double] = []

    init(reserving count: Int) { storage.reserveCapacity(count) }

    init(_ values: Values) {
        guard case .float64(let storage) = values else { preconditionFailure("not floats") }
        self.storage = storage
    }

    var values: Values { .float64(storage) }
    subscript(index: Int) -> Double { storage[index] }
    mutating func append(_ value: Double) { storage.append(value) }
    mutating func appendAbsent() { storage.append(0) }
}

struct BoolBuffer: ValueBuffer {
    var storage: [UInt8] = []

    init(reserving count: Int) { storage.reserveCapacity(count) }

    init(_ values: Values) {
        guard case .bool(let storage) = values else { preconditionFailure("not booleans") }
        self.storage = storage
    }

    var values: Values { .bool(storage) }
    subscript(index: Int) -> Bool { storage[index] != 0 }
    mutating func append(_ value: Bool) { storage.append(value ? 1 : 0) }
    mutating func appendAbsent() { storage.append(0) }
}

struct BytesBuffer: ValueBuffer {
    var storage: ByteColumn

    init(reserving count: Int) { storage = ByteColumn(reserving: count, bytes: count * 16) }

    init(_ values: Values) {
        guard case .bytes(let storage) = values else { preconditionFailure("not bytes") }
        self.storage = storage
    }

    var values: Values { .bytes(storage) }
    subscript(index: Int) -> ArraySlice<UInt8> {
        storage.data[Int(storage.offsets[index])..<Int(storage.offsets[index + 1])]
    }
    mutating func append(_ value: ArraySlice<UInt8>) {
        storage.data.append(contentsOf: value)
        appendAbsent()
    }
    mutating func appendAbsent() { storage.offsets.append(UInt32(truncatingIfNeeded: storage.data.count)) }
}

struct IntervalBuffer: ValueBuffer {
    var storage: [Interval] = []

    init(reserving count: Int) { storage.reserveCapacity(count) }

    init(_ values: Values) {
        guard case .interval(let storage) = values else { preconditionFailure("not intervals") }
        self.storage = storage
    }

    var values: Values { .interval(storage) }
    subscript(index: Int) -> Interval { storage[index] }
    mutating func append(_ value: Interval) { storage.append(value) }
    mutating func appendAbsent() { storage.append(Interval()) }
}

/// Decimals as 128-bit mantissas and scales; what does not fit lies apart.
struct DecimalBuffer: ValueBuffer, Sendable {
    private static let nan: Int16 = -1
    private static let infinity: Int16 = -2
    private static let large: Int16 = -3

    private var mantissas: [Int128] = []
    /// Digits after the point, or one of the marks above.
    private var scales: [Int16] = []
    private var others: [Decimal] = []

    init(reserving count: Int) {
        mantissas.reserveCapacity(count)
        scales.reserveCapacity(count)
    }

    init(zeros count: Int) {
        mantissas = [Int128](repeating: 0, count: count)
        scales = [Int16](repeating: 0, count: count)
    }

    init(_ values: Values) {
        guard case .decimal(let buffer) = values else { preconditionFailure("not decimals") }
        self = buffer
    }

    var values: Values { .decimal(self) }
    var count: Int { scales.count }

    subscript(index: Int) -> Decimal {
        let scale = scales[index]
        if scale >= 0 { return .small(mantissas[index], scale: Int(scale)) }
        switch scale {
        case Self.nan: return .nan
        case Self.infinity: return .infinity(negative: mantissas[index] < 0)
        default: return others[Int(truncatingIfNeeded: mantissas[index])]
        }
    }

    mutating func append(_ value: Decimal) {
        switch value {
        case .small(let mantissa, let scale) where scale <= Int(Int16.max):
            mantissas.append(mantissa)
            scales.append(Int16(truncatingIfNeeded: scale))
        case .nan:
            mantissas.append(0)
            scales.append(Self.nan)
        case .infinity(let negative):
            mantissas.append(negative ? -1 : 1)
            scales.append(Self.infinity)
        default:
            mantissas.append(Int128(others.count))
            scales.append(Self.large)
            others.append(value)
        }
    }

    mutating func appendAbsent() {
        mantissas.append(0)
        scales.append(0)
    }

    func gathered(_ rows: [Int32]) -> DecimalBuffer {
        var result = DecimalBuffer(reserving: rows.count)
        for row in rows { result.append(self[Int(row)]) }
        return result
    }
}

extension Int64: SQLValue { typealias Buffer = IntBuffer }
extension Double: SQLValue { typealias Buffer = DoubleBuffer }
extension Bool: SQLValue { typealias Buffer = BoolBuffer }
extension ArraySlice<UInt8>: SQLValue { typealias Buffer = BytesBuffer }
extension Decimal: SQLValue { typealias Buffer = DecimalBuffer }
extension Interval: SQLValue { typealias Buffer = IntervalBuffer }

/// The bytes of a text, jsonb or uuid value, where they lie.
typealias Bytes = ArraySlice<UInt8>
