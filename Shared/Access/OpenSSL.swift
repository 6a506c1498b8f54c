private import COpenSSL

/// The three functions of OpenSSL's libcrypto that keys need.
enum OpenSSL {
    /// The digest, looked up once: by name, each lookup costs more than the digest of a key.
    @safe private final class Algorithm: Sendable {
        nonisolated(unsafe) let handle: OpaquePointer?

        init(_ name: String) {
            unsafe handle = EVP_MD_fetch(nil, name, nil)
        }

        deinit {
            unsafe EVP_MD_free(handle)
        }
    }

    private static let sha256Algorithm = Algorithm("SHA256")

    /// SHA-256 (FIPS 180-4), 32 bytes.
    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        let done = unsafe EVP_Digest(bytes, bytes.count, &digest, nil, sha256Algorithm.handle, nil)
        precondition(done == 1, "OpenSSL has no SHA-256")
        return digest
    }

    /// Bytes from the generator that is seeded by the kernel.
    static func randomBytes(_ count: Int) throws(AccessError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        guard unsafe RAND_bytes(&bytes, CInt(count)) == 1 else {
            throw AccessError(.noRandomness, "OpenSSL's generator has not enough entropy")
        }
        return bytes
    }

    /// Compares in a time that depends on the length only.
    static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        unsafe left.count == right.count && CRYPTO_memcmp(left, right, left.count) == 0
    }
}
