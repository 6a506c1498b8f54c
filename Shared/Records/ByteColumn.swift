/// Byte strings back to back: value `i` is `data[offsets[i] ..< offsets[i + 1]]`.
///
/// `offsets` has one entry more than there are values, starts at 0 or later and never falls; all data together stay
/// below 4 GiB. A NULL's value is empty.
public struct ByteColumn: Sendable {
    public var offsets: [UInt32]
    public var data: [UInt8]

    @inlinable public init(offsets: [UInt32], data: [UInt8]) {
        self.offsets = offsets
        self.data = data
    }

    /// An empty column with room for `count` values of `bytes` in all.
    @inlinable public init(reserving count: Int = 0, bytes: Int = 0) {
        offsets = []
        offsets.reserveCapacity(count + 1)
        offsets.append(0)
        data = []
        data.reserveCapacity(bytes)
    }

    public init(_ strings: [String]) {
        self.init(reserving: strings.count)
        for string in strings { append(string.utf8) }
    }

    @inlinable public var count: Int { offsets.count - 1 }

    @inlinable public func range(_ row: Int) -> Range<Int> { Int(offsets[row])..<Int(offsets[row + 1]) }

    /// The bytes of one value.
    @inlinable public subscript(row: Int) -> ArraySlice<UInt8> { data[range(row)] }

    /// One value as a string; bytes that are not UTF-8 are replaced.
    public func string(_ row: Int) -> String { String(decoding: self[row], as: UTF8.self) }

    @inlinable public mutating func append(_ bytes: some Collection<UInt8>) {
        data.append(contentsOf: bytes)
        endValue()
    }

    /// Ends the value whose bytes have been appended to `data` since the last one.
    @inlinable public mutating func endValue() { offsets.append(UInt32(truncatingIfNeeded: data.count)) }
}
