private import COpenSSL

/// A text in PEM (RFC 7468), from which one object after the other is read. OpenSSL's copy of it is overwritten before
/// it is freed.
@safe struct PEMReader: ~Copyable {
    private let bio: OpaquePointer

    /// Nil if memory is short.
    init?(_ text: [UInt8]) {
        guard let bio = unsafe BIO_new(BIO_s_mem()) else { return nil }
        let length = CInt(clamping: text.count)
        guard unsafe BIO_write(bio, text, length) == length else {
            unsafe BIO_free(bio)
            return nil
        }
        unsafe self.bio = unsafe bio
    }

    deinit { unsafe BIO_free(bio) }

    /// The next certificate, which is the caller's to free; nil at the end, or where there is none that can be read.
    mutating func certificate() -> OpaquePointer? {
        OpenSSLError.clear()
        return unsafe PEM_read_bio_X509(bio, nil, { _, _, _, _ in PEMReader.noPassword }, nil)
    }

    /// The first private key, which is the caller's to free; nil where there is none, or only one with a password.
    mutating func privateKey() -> OpaquePointer? {
        OpenSSLError.clear()
        return unsafe PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in PEMReader.noPassword }, nil)
    }

    /// The last object could not be read because there was none left.
    var isAtEnd: Bool { ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE }

    /// What a key's password is answered with; without an answer OpenSSL asks whoever sits at the terminal.
    private static let noPassword: CInt = -1
}
