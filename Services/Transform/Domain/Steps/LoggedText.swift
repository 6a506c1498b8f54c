import Records

/// Text as web servers escape it in access logs: httpd writes `\"`, `\\`, `\b`, `\n`, `\r`, `\t`, `\v` and other bytes
/// as `\xhh`, nginx all bytes that are not plain ASCII as `\xHH`. A backslash before anything else stands for itself.
enum LoggedText {
    static func isEscaped(_ text: Span<UInt8>) -> Bool {
        for index in 0..<text.count where text[index] == backslash { return true }
        return false
    }

    /// Appends the text decoded; where that is no text, for it has U+0000 or bytes that are not UTF-8, as it is
    /// written: such are the first bytes of a TLS handshake, say, that came to a server that speaks HTTP.
    static func append(_ text: Span<UInt8>, into output: inout [UInt8]) {
        let start = output.count
        var (mustCheck, isText) = (false, true)
        var index = 0
        while index < text.count {
            guard text[index] == backslash, index + 1 < text.count else {
                output.append(text[index])
                index += 1
                continue
            }
            if text[index + 1] == UInt8(ascii: "x"), index + 3 < text.count,
                let high = PercentDecoder.hex(text[index + 2]), let low = PercentDecoder.hex(text[index + 3])
            {
                let byte = high << 4 | low
                isText = isText && byte != 0
                mustCheck = mustCheck || byte >= 0x80
                output.append(byte)
                index += 4
            } else if let byte = character(text[index + 1]) {
                output.append(byte)
                index += 2
            } else {
                output.append(backslash)
                index += 1
            }
        }
        if mustCheck { isText = isText && PercentDecoder.isText(output.span.extracting(start..<output.count)) }
        guard !isText else { return }
        output.removeLast(output.count - start)
        for index in 0..<text.count { output.append(text[index]) }
    }

    private static let backslash = UInt8(ascii: "\\")

    private static func character(_ escape: UInt8) -> UInt8? {
        switch escape {
        case UInt8(ascii: "\""), backslash: escape
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "v"): 0x0B
        default: nil
        }
    }
}
