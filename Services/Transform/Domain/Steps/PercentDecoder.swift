import Records

/// Percent-decoding as the WHATWG URL Standard has it, without its loss: what is not `%` and two hexadecimal digits
/// stays as it is written, and so does a whole part that would become invalid UTF-8 or hold U+0000.
enum PercentDecoder {
    /// Appends a part of a URL, decoded.
    ///
    /// - Parameter plusIsSpace: as in query strings.
    static func append(_ text: Span<UInt8>, plusIsSpace: Bool = false, into output: inout [UInt8]) {
        let start = output.count
        var mustCheck = false
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "%"), index + 2 < text.count, let high = hex(text[index + 1]),
                let low = hex(text[index + 2])
            {
                let decoded = high << 4 | low
                mustCheck = mustCheck || decoded >= 0x80 || decoded == 0
                output.append(decoded)
                index += 3
            } else {
                output.append(plusIsSpace && byte == UInt8(ascii: "+") ? TextScan.space : byte)
                index += 1
            }
        }
        guard mustCheck, !isText(output.span.extracting(start..<output.count)) else { return }
        output.removeLast(output.count - start)
        JSONText.append(text, into: &output)
    }

    static func isText(_ bytes: Span<UInt8>) -> Bool {
        for index in 0..<bytes.count where bytes[index] == 0 { return false }
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes)
            return true
        } catch {
            return false
        }
    }

    static func hex(_ byte: UInt8) -> UInt8? {
        if TextScan.isDigit(byte) { return byte - 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter + 10 : nil
    }
}
