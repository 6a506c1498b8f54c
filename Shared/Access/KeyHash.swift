/// The SHA-256 of a key's text, under which the key is stored and found.
public struct KeyHash: Sendable, Hashable {
    /// 32 bytes.
    public let bytes: [UInt8]

    init(of text: [UInt8]) {
        bytes = OpenSSL.sha256(text)
    }

    /// A stored hash; nil unless it has 32 bytes.
    init?(stored bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    public static func == (left: KeyHash, right: KeyHash) -> Bool {
        OpenSSL.areEqual(left.bytes, right.bytes)
    }

    /// The first bytes are as good as any: they come out of a digest.
    public func hash(into hasher: inout Hasher) {
        for byte in bytes.prefix(8) { hasher.combine(byte) }
    }
}
