private import COpenSSL

/// The server's proof that it has understood a handshake (RFC 6455, section 1.3).
enum WebSocketAccept {
    private static let identifier = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`. SHA-1 is no matter of trust here.
    static func value(for key: String) -> String {
        let text = Array((key + identifier).utf8)
        let digest = unsafe [UInt8](unsafeUninitializedCapacity: 20) { buffer, count in
            unsafe text.withUnsafeBufferPointer { text in
                _ = unsafe SHA1(text.baseAddress, text.count, buffer.baseAddress)
            }
            count = 20
        }
        return base64(digest)
    }

    private static let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    private static func base64(_ octets: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: octets.count, by: 3) {
            let group = octets[start..<min(start + 3, octets.count)]
            let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0...group.count { text.append(digits[bits >> (18 - 6 * place) & 63]) }
            text.append(contentsOf: repeatElement(UInt8(ascii: "="), count: 3 - group.count))
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Whether the text is base64 of 16 octets, as a key is: 22 digits, the last with four bits unused, and `==`.
    static func isKey(_ text: String) -> Bool {
        let octets = Array(text.utf8)
        guard octets.count == 24, octets[22] == UInt8(ascii: "="), octets[23] == UInt8(ascii: "=") else { return false }
        guard octets[..<22].allSatisfy(digits.contains), let last = digits.firstIndex(of: octets[21]) else {
            return false
        }
        return last & 0x0F == 0
    }
}
