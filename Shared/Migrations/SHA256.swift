private import COpenSSL

/// SHA-256 by OpenSSL (FIPS 180-4).
enum SHA256 {
    /// 32 bytes.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 32) { buffer, count in
            unsafe bytes.withUnsafeBufferPointer { bytes in
                _ = unsafe COpenSSL.SHA256(bytes.baseAddress, bytes.count, buffer.baseAddress)
            }
            count = 32
        }
    }
}
