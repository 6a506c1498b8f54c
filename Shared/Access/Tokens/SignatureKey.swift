private import COpenSSL

/// A public key that tokens are signed for, by OpenSSL. It says by itself which algorithm it is for, so that no token
/// can have a key taken for one of another kind (RFC 8725, section 3.1).
@safe final class SignatureKey: Sendable {
    enum Algorithm: String, Sendable {
        /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518, section 3.3).
        case rs256 = "RS256"
        /// ECDSA on P-256 with SHA-256 (RFC 7518, section 3.4).
        case es256 = "ES256"
    }

    /// Bits of an RSA modulus: less can be broken, more takes long.
    static let modulusBits = 2048...8192

    let algorithm: Algorithm
    nonisolated(unsafe) private let handle: OpaquePointer

    /// Nil for a modulus of another length than `modulusBits`, or an exponent that is even, 1, or beyond 32 bits.
    init?(modulus: [UInt8], exponent: [UInt8]) {
        let modulus = Array(modulus.drop { $0 == 0 })
        let exponent = Array(exponent.drop { $0 == 0 })
        guard let first = modulus.first, Self.modulusBits.contains(modulus.count * 8 - first.leadingZeroBitCount),
            let last = exponent.last, last & 1 == 1, exponent.count <= 4, exponent != [1],
            let key = unsafe copenssl_rsa_key(modulus, modulus.count, exponent, exponent.count)
        else { return nil }
        algorithm = .rs256
        unsafe handle = key
    }

    /// A point of the curve P-256, 32 octets a coordinate; nil for one that is none.
    init?(x: [UInt8], y: [UInt8]) {
        guard x.count == 32, y.count == 32, let key = unsafe copenssl_p256_key([4] + x + y) else { return nil }
        algorithm = .es256
        unsafe handle = key
    }

    deinit {
        unsafe EVP_PKEY_free(handle)
    }

    /// Whether the signature, in the form that JWS has it in, is one of the message.
    func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        switch algorithm {
        case .rs256:
            return unsafe copenssl_verify_sha256(handle, message, message.count, signature, signature.count) == 1
        case .es256:
            guard signature.count == 64 else { return false }
            var encoded = [UInt8](repeating: 0, count: 80)
            let count = unsafe copenssl_ecdsa_signature(signature, &encoded, encoded.count)
            guard count > 0 else { return false }
            return unsafe copenssl_verify_sha256(handle, message, message.count, encoded, Int(count)) == 1
        }
    }
}
