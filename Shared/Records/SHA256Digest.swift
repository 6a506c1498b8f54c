private import COpenSSL

/// SHA-256 over bytes that come piece by piece. A value: a copy goes on by itself.
public struct SHA256Digest {
    private var context = Context()

    /// Owns OpenSSL's context.
    @safe private final class Context {
        let pointer: OpaquePointer

        init() {
            guard let pointer = unsafe EVP_MD_CTX_new(), unsafe EVP_DigestInit_ex(pointer, EVP_sha256(), nil) == 1
            else { preconditionFailure("OpenSSL has no SHA-256") }
            unsafe self.pointer = pointer
        }

        init(copying other: Context) {
            guard let pointer = unsafe EVP_MD_CTX_new(), unsafe EVP_MD_CTX_copy_ex(pointer, other.pointer) == 1
            else { preconditionFailure("OpenSSL cannot copy a digest") }
            unsafe self.pointer = pointer
        }

        deinit { unsafe EVP_MD_CTX_free(pointer) }
    }

    public init() {}

    public mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&context) { context = Context(copying: context) }
        unsafe EVP_DigestUpdate(context.pointer, bytes.baseAddress, bytes.count)
    }

    /// The 32 bytes over all that was passed.
    public func finish() -> [UInt8] {
        let last = Context(copying: context)
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe EVP_DigestFinal_ex(last.pointer, &digest, nil)
        return digest
    }
}

/// The length and hash of a record that is too long to keep.
struct SkippedRecord {
    private var digest = SHA256Digest()
    private var length = 0
    /// A carriage return at the end so far, which may turn out to belong to the line's end.
    private var heldReturn = false

    mutating func pass(_ bytes: some Collection<UInt8>) {
        bytes.withContiguousStorageIfAvailable { unsafe pass($0) }
    }

    private mutating func pass(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard !bytes.isEmpty else { return }
        if heldReturn { hash([0x0D]) }
        heldReturn = unsafe bytes[bytes.count - 1] == 0x0D
        let sure = bytes.count - (heldReturn ? 1 : 0)
        let certain: UnsafeBufferPointer<UInt8> = unsafe UnsafeBufferPointer(rebasing: bytes[..<sure])
        unsafe digest.update(UnsafeRawBufferPointer(certain))
        length += certain.count
    }

    private mutating func hash(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe digest.update($0) }
        length += bytes.count
    }

    mutating func end(droppingReturn: Bool) -> (length: Int, sha256: [UInt8]) {
        if heldReturn, !droppingReturn { hash([0x0D]) }
        heldReturn = false
        return (length, digest.finish())
    }
}
