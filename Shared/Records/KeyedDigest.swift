private import COpenSSL

/// HMAC-SHA256 (RFC 2104, FIPS 198-1) of many short texts under one key. Nothing is allocated for a text.
public struct KeyedDigest: Sendable {
    /// SHA-256 after the key's first block, for the inner and the outer hash.
    private let inner: SHA256_CTX
    private let outer: SHA256_CTX

    /// - Parameter key: of any length.
    public init(key: [UInt8]) {
        var block = key
        if key.count > 64 {
            var digest = SHA256Digest()
            digest.update(key)
            block = digest.finish()
        }
        block += [UInt8](repeating: 0, count: 64 - block.count)
        inner = Self.begin(block.map { $0 ^ 0x36 })
        outer = Self.begin(block.map { $0 ^ 0x5C })
    }

    private static func begin(_ block: [UInt8]) -> SHA256_CTX {
        var context = SHA256_CTX()
        unsafe copenssl_sha256_begin(&context)
        unsafe copenssl_sha256_update(&context, block, block.count)
        return context
    }

    /// Appends the digest of a text as 64 hexadecimal digits in lower case.
    public func appendHex(of text: Span<UInt8>, into output: inout [UInt8]) {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        var context = inner
        unsafe text.withUnsafeBytes { unsafe copenssl_sha256_update(&context, $0.baseAddress, $0.count) }
        Self.finish(&context, into: &digest)
        context = outer
        unsafe digest.span.withUnsafeBytes { unsafe copenssl_sha256_update(&context, $0.baseAddress, $0.count) }
        Self.finish(&context, into: &digest)
        for index in 0..<32 {
            output.append(Self.digit(digest[index] >> 4))
            output.append(Self.digit(digest[index] & 15))
        }
    }

    private static func finish(_ context: inout SHA256_CTX, into digest: inout InlineArray<32, UInt8>) {
        var bytes = digest.mutableSpan
        unsafe bytes.withUnsafeMutableBytes { unsafe copenssl_sha256_end(&context, $0.baseAddress) }
    }

    private static func digit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x57 + value }
}
