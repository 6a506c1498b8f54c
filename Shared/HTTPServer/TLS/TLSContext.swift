private import COpenSSL

/// OpenSSL's `SSL_CTX`: a certificate, its key, and what of TLS is spoken. The only file that calls it. It never
/// changes and may be used by all loops; its sessions keep OpenSSL's part of it alive.
///
/// What is spoken is Mozilla's "intermediate" configuration, version 5.7: TLS 1.2 and 1.3 with ephemeral keys and
/// authenticated encryption. No session is resumed: so there is no key of tickets to keep, to rotate or to lose, and
/// nothing is remembered of a client. Those who send all the time keep their connections.
@safe final class TLSContext: Sendable {
    private nonisolated(unsafe) let context: OpaquePointer
    /// When the certificate ends, in seconds since 1970.
    let expiry: Int64

    private static let ciphers = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
        "DHE-RSA-AES128-GCM-SHA256", "DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-CHACHA20-POLY1305",
        // No keys and signatures of less than 112 bits of strength.
        "@SECLEVEL=2",
    ]
    private static let suites = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
    private static let groups = ["X25519", "prime256v1", "secp384r1"]

    /// Both in PEM; the certificate first, then those that lead to one that clients trust.
    init(certificate: [UInt8], key: [UInt8]) throws(TLSFileError) {
        OpenSSLError.clear()
        guard let context = unsafe SSL_CTX_new(TLS_server_method()) else {
            throw TLSFileError(.certificate, "cannot be used: \(OpenSSLError.reason)")
        }
        do throws(TLSFileError) {
            guard unsafe TLSContext.restrict(context) else {
                throw TLSFileError(.certificate, "cannot be used: \(OpenSSLError.reason)")
            }
            expiry = try unsafe TLSContext.useChain(certificate, context)
            try unsafe TLSContext.useKey(key, context)
        } catch {
            unsafe SSL_CTX_free(context)
            throw error
        }
        unsafe self.context = unsafe context
    }

    deinit { unsafe SSL_CTX_free(context) }

    /// A new `SSL`, the caller's to free; nil if memory is short.
    func makeSession() -> OpaquePointer? { unsafe SSL_new(context) }

    /// All that matters is said, for the machine's openssl.cnf may have said something else.
    private static func restrict(_ context: OpaquePointer) -> Bool {
        unsafe SSL_CTX_clear_options(
            context,
            COPENSSL_OP_CIPHER_SERVER_PREFERENCE | COPENSSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION
                | COPENSSL_OP_ALLOW_CLIENT_RENEGOTIATION)
        unsafe SSL_CTX_set_options(
            context, COPENSSL_OP_NO_RENEGOTIATION | COPENSSL_OP_NO_COMPRESSION | COPENSSL_OP_NO_TICKET)
        unsafe copenssl_set_no_session_cache(context)
        // A record is written and reported as soon as there is room for it; who tries again may have moved the octets.
        // A connection at rest holds no buffers (2 x 17 KB otherwise).
        unsafe copenssl_set_mode(
            context,
            UInt32(SSL_MODE_ENABLE_PARTIAL_WRITE) | UInt32(SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
                | UInt32(SSL_MODE_RELEASE_BUFFERS))
        // One recv for a record's head and body.
        unsafe copenssl_set_read_ahead(context)
        unsafe SSL_CTX_set_alpn_select_cb(
            context,
            { _, chosen, length, offered, count, _ in
                unsafe TLSContext.chooseProtocol(chosen, length, offered, count)
            }, nil)
        return unsafe SSL_CTX_set_num_tickets(context, 0) == 1
            && copenssl_set_versions(context, TLS1_2_VERSION, TLS1_3_VERSION) == 1
            && SSL_CTX_set_cipher_list(context, ciphers.joined(separator: ":")) == 1
            && SSL_CTX_set_ciphersuites(context, suites.joined(separator: ":")) == 1
            && copenssl_set_groups(context, groups.joined(separator: ":")) == 1
            && copenssl_set_dh_auto(context) == 1
    }

    /// Returns when the first certificate ends.
    private static func useChain(_ text: [UInt8], _ context: OpaquePointer) throws(TLSFileError) -> Int64 {
        guard var reader = PEMReader(text), let first = unsafe reader.certificate() else {
            throw TLSFileError(.certificate, "holds no certificate in PEM: \(OpenSSLError.reason)")
        }
        defer { unsafe X509_free(first) }
        guard unsafe SSL_CTX_use_certificate(context, first) == 1 else {
            throw TLSFileError(.certificate, "holds a certificate that cannot be used: \(OpenSSLError.reason)")
        }
        while let next = unsafe reader.certificate() {
            guard unsafe copenssl_add_chain_certificate(context, next) == 1 else {
                unsafe X509_free(next)
                throw TLSFileError(.certificate, "holds a chain that cannot be used: \(OpenSSLError.reason)")
            }
        }
        guard reader.isAtEnd else {
            throw TLSFileError(.certificate, "holds a chain that cannot be read: \(OpenSSLError.reason)")
        }
        return unsafe copenssl_expiry(first)
    }

    private static func useKey(_ text: [UInt8], _ context: OpaquePointer) throws(TLSFileError) {
        guard var reader = PEMReader(text), let key = unsafe reader.privateKey() else {
            throw TLSFileError(.key, "holds no private key in PEM without a password: \(OpenSSLError.reason)")
        }
        defer { unsafe EVP_PKEY_free(key) }
        guard unsafe X509_check_private_key(SSL_CTX_get0_certificate(context), key) == 1,
            unsafe SSL_CTX_use_PrivateKey(context, key) == 1
        else {
            throw TLSFileError(.key, "holds a key that does not fit the certificate: \(OpenSSLError.reason)")
        }
    }

    /// ALPN (RFC 7301): HTTP/1.1 where the client offers protocols; one that offers others only is refused.
    private static func chooseProtocol(
        _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?, _ length: UnsafeMutablePointer<UInt8>?,
        _ offered: UnsafePointer<UInt8>?, _ count: UInt32
    ) -> CInt {
        let names = unsafe UnsafeBufferPointer(start: offered, count: Int(count))
        guard let offered = unsafe offered, let at = unsafe position(of: "http/1.1", in: Array(names)) else {
            return SSL_TLSEXT_ERR_ALERT_FATAL
        }
        unsafe chosen?.pointee = unsafe offered + at
        unsafe length?.pointee = 8
        return SSL_TLSEXT_ERR_OK
    }

    /// Where a name begins in a list of names, each after an octet with its length.
    static func position(of name: String, in names: [UInt8]) -> Int? {
        var at = 0
        while at < names.count {
            let (start, end) = (at + 1, at + 1 + Int(names[at]))
            if end <= names.count, names[start..<end].elementsEqual(name.utf8) { return start }
            at = end
        }
        return nil
    }
}
