private import COpenSSL

/// The functions of OpenSSL's libcrypto that keys and passwords need.
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

    /// HMAC-SHA-256 (RFC 2104), 32 bytes.
    static func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        var count = CUnsignedInt(0)
        let done = unsafe HMAC(EVP_sha256(), key, CInt(key.count), message, message.count, &digest, &count)
        precondition(unsafe done != nil && count == 32, "OpenSSL has no HMAC-SHA-256")
        return digest
    }

    /// PBKDF2 with HMAC-SHA-256 (RFC 8018, section 5.2), 32 bytes.
    static func pbkdf2(password: [UInt8], salt: [UInt8], iterations: Int) -> [UInt8] {
        var key = [UInt8](repeating: 0, count: 32)
        let done = unsafe password.withUnsafeBytes { password in
            unsafe PKCS5_PBKDF2_HMAC(
                password.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(password.count), salt,
                CInt(salt.count), CInt(iterations), EVP_sha256(), 32, &key)
        }
        precondition(done == 1, "OpenSSL has no PBKDF2")
        return key
    }
}
