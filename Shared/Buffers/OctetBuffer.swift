/// A buffer of octets that grows, for text that is put together piece by piece on a hot path: an answer's head, a line
/// of the log.
///
/// Each piece costs a comparison and a copy, where `[UInt8]` also asks whether it is shared and goes through two
/// generic layers. It is never shared: it has one owner and no copies.
@safe public struct OctetBuffer: ~Copyable {
    private var base: UnsafeMutablePointer<UInt8>
    private var capacity: Int
    /// Octets that have been written.
    public private(set) var count: Int

    /// Room for `capacity` octets before it has to grow.
    public init(capacity: Int) {
        self.capacity = max(capacity, 16)
        unsafe base = .allocate(capacity: self.capacity)
        count = 0
    }

    deinit { unsafe base.deallocate() }

    /// A copy of the octets from the one at `start` on.
    public func array(from start: Int = 0) -> [UInt8] {
        array(start..<count)
    }

    /// A copy of some of the octets.
    public func array(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "octets that were not written")
        return unsafe Array(UnsafeBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Appends the octets to an array.
    public func append(to array: inout [UInt8]) {
        unsafe array.append(contentsOf: UnsafeBufferPointer(start: base, count: count))
    }

    /// Gives `body` some of the octets; they must not be kept.
    public func withOctets<T, E: Error>(
        _ range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(E) -> T
    ) throws(E) -> T {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "octets that were not written")
        return try unsafe body(UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count))
    }

    /// Empties it; the room stays.
    public mutating func removeAll() { count = 0 }

    /// Makes room for `additional` octets.
    public mutating func reserve(_ additional: Int) {
        if count + additional > capacity { grow(count + additional) }
    }

    private mutating func grow(_ needed: Int) {
        let larger = max(needed, capacity * 2)
        let moved = UnsafeMutablePointer<UInt8>.allocate(capacity: larger)
        unsafe moved.update(from: base, count: count)
        unsafe base.deallocate()
        unsafe base = moved
        capacity = larger
    }
}

// MARK: - Pieces

extension OctetBuffer {
    public mutating func append(_ octet: UInt8) {
        reserve(1)
        unsafe base[count] = octet
        count += 1
    }

    private mutating func append(_ octets: UnsafeBufferPointer<UInt8>) {
        guard let start = octets.baseAddress else { return }
        reserve(octets.count)
        unsafe (base + count).update(from: start, count: octets.count)
        count += octets.count
    }

    public mutating func append(_ octets: [UInt8]) {
        unsafe octets.withUnsafeBufferPointer { unsafe append($0) }
    }

    public mutating func append(_ octets: Span<UInt8>) {
        unsafe octets.withUnsafeBufferPointer { unsafe append($0) }
    }

    public mutating func append(_ text: StaticString) {
        text.withUTF8Buffer { unsafe append($0) }
    }

    /// Appends the text in UTF-8.
    public mutating func append(_ text: String) {
        let isContiguous: Void? = unsafe text.utf8.withContiguousStorageIfAvailable { unsafe append($0) }
        if isContiguous == nil {
            for octet in text.utf8 { append(octet) }
        }
    }

    public mutating func append(decimal number: Int) {
        if number < 0 { append(UInt8(ascii: "-")) }
        var rest = number.magnitude
        // 20 digits hold every 64-bit number; they are written from the last one on, and moved to the front.
        reserve(20)
        var start = count + 20
        repeat {
            start -= 1
            unsafe base[start] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        } while rest > 0
        let digits = count + 20 - start
        for index in 0..<digits { unsafe base[count + index] = base[start + index] }
        count += digits
    }

    /// Appends a number from 0 to 10^`digits` − 1 with leading zeros; `digits` is even.
    public mutating func append(decimal number: Int, digits: Int) {
        reserve(digits)
        var rest = UInt32(truncatingIfNeeded: number)
        var index = count + digits
        while index > count {
            let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
            index -= 2
            unsafe base[index] = UInt8(truncatingIfNeeded: 48 &+ pair / 10)
            unsafe base[index + 1] = UInt8(truncatingIfNeeded: 48 &+ pair % 10)
            rest = quotient
        }
        count += digits
    }

    /// Appends the lowest `digits` hexadecimal digits of the number, in lower case.
    public mutating func append(hexadecimal number: UInt64, digits: Int) {
        reserve(digits)
        var shift = UInt64(4 &* digits)
        let start = unsafe base + count
        for index in 0..<digits {
            shift &-= 4
            let digit = UInt8(truncatingIfNeeded: number &>> shift & 15)
            unsafe start[index] = digit &+ (digit < 10 ? 48 : 87)
        }
        count += digits
    }

    /// Appends all sixteen hexadecimal digits of the number, in lower case, eight at a time.
    public mutating func append(hexadecimal number: UInt64) {
        reserve(16)
        let start = unsafe UnsafeMutableRawPointer(base + count)
        unsafe start.storeBytes(of: Self.digits(UInt32(truncatingIfNeeded: number &>> 32)), as: UInt64.self)
        unsafe start.storeBytes(
            of: Self.digits(UInt32(truncatingIfNeeded: number)), toByteOffset: 8, as: UInt64.self)
        count += 16
    }

    /// The eight digits of a number, the first in the lowest octet: the nibbles are spread over the octets, and each is
    /// moved to `0` or, from ten on, to `a`.
    private static func digits(_ number: UInt32) -> UInt64 {
        var spread = UInt64(number)
        spread = (spread & 0xFFFF) << 32 | spread >> 16
        spread = (spread & 0x0000_00FF_0000_00FF) << 16 | (spread & 0x0000_FF00_0000_FF00) >> 8
        spread = (spread & 0x000F_000F_000F_000F) << 8 | (spread & 0x00F0_00F0_00F0_00F0) >> 4
        let letters = (spread &+ 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101
        return (spread &+ 0x3030_3030_3030_3030 &+ letters &* 39).littleEndian
    }

    /// Appends a number that is not negative as a chunk's size: hexadecimal digits without leading zeros.
    public mutating func append(chunkSize number: Int) {
        let digits = max(1, (Int.bitWidth - number.leadingZeroBitCount + 3) / 4)
        append(hexadecimal: UInt64(number), digits: digits)
    }

    public mutating func appendLineEnd() {
        append(0x0D)
        append(0x0A)
    }
}
