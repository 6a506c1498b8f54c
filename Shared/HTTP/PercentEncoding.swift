/// Percent-encoding of paths and queries (RFC 3986, section 2.1).
public enum PercentEncoding {
    /// The decoded text; nil for a malformed escape, for what is no UTF-8, and for U+0000, which no text here may hold.
    public static func decode(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool = false) -> String? {
        if isPlain(bytes.span, plusIsSpace) { return text(bytes.span) }
        guard let decoded = octets(bytes, plusIsSpace: plusIsSpace), !decoded.contains(0) else { return nil }
        return text(decoded.span)
    }

    private static func text(_ bytes: Span<UInt8>) -> String? {
        do {
            return String(copying: try UTF8Span(validating: bytes))
        } catch {
            return nil
        }
    }

    private static func isPlain(_ bytes: Span<UInt8>, _ plusIsSpace: Bool) -> Bool {
        for index in bytes.indices {
            if bytes[index] == UInt8(ascii: "%") || plusIsSpace && bytes[index] == UInt8(ascii: "+") { return false }
        }
        return true
    }

    /// The text with everything but RFC 3986's unreserved characters escaped: for one segment, name or value.
    public static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var output: [UInt8] = []
        for byte in text.utf8 {
            if Octets.isDigit(byte) || byte | 0x20 &- 0x61 < 26 || "-._~".utf8.contains(byte) {
                output.append(byte)
            } else {
                output += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private static func octets(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) -> [UInt8]? {
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var at = bytes.startIndex
        while at < bytes.endIndex {
            let byte = bytes[at]
            at += 1
            if byte == UInt8(ascii: "+"), plusIsSpace {
                output.append(Octets.space)
            } else if byte == UInt8(ascii: "%") {
                guard at + 1 < bytes.endIndex, let high = Octets.hexadecimal(bytes[at]),
                    let low = Octets.hexadecimal(bytes[at + 1])
                else { return nil }
                output.append(high << 4 | low)
                at += 2
            } else {
                output.append(byte)
            }
        }
        return output
    }
}
