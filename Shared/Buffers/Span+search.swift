private import Glibc

extension Span<UInt8> {
    /// The place of the first `octet` from `start` on; nil if there is none.
    public func firstIndex(of octet: UInt8, from start: Int) -> Int? {
        guard start < count else { return nil }
        return unsafe withUnsafeBufferPointer { octets -> Int? in
            guard let base = octets.baseAddress,
                let found = unsafe memchr(base + start, Int32(octet), octets.count - start)
            else { return nil }
            return unsafe UnsafeRawPointer(found) - UnsafeRawPointer(base)
        }
    }
}
