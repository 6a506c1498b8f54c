private import CSimdJSON

/// JSON texts as jsonb takes them.
public enum JSONText {
    /// What is wrong with a text, or nil: RFC 8259, no U+0000, no half surrogate pairs, numbers that numeric can hold,
    /// nested no deeper than 1,000.
    public static func check(_ text: Span<UInt8>) -> (code: String, message: String)? {
        var why: UInt8 = 0
        var at: UInt32 = 0
        let fault = unsafe text.withUnsafeBufferPointer { bytes in
            unsafe mr_check_json(bytes.baseAddress, bytes.count, 1_000, &why, &at)
        }
        guard fault != 0 else { return nil }
        let found = DecodeFault(code: Int(fault), why: Int(why), at: Int(at), found: 0)
        return (found.name, "invalid input syntax for type json: \(found.message)")
    }

    /// Appends UTF-8 as a JSON string, quotes included; control characters are escaped.
    public static func appendString(_ text: Span<UInt8>, into output: inout [UInt8]) {
        output.append(0x22)
        var start = 0
        for at in 0..<text.count {
            let byte = text[at]
            guard byte < 0x20 || byte == 0x22 || byte == 0x5C else { continue }
            append(text.extracting(start..<at), into: &output)
            appendEscape(byte, into: &output)
            start = at + 1
        }
        append(text.extracting(start..<text.count), into: &output)
        output.append(0x22)
    }

    /// Appends bytes as they are.
    public static func append(_ text: Span<UInt8>, into output: inout [UInt8]) {
        unsafe text.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
    }

    private static func appendEscape(_ byte: UInt8, into output: inout [UInt8]) {
        output.append(0x5C)
        switch byte {
        case 0x22, 0x5C: output.append(byte)
        case 0x08: output.append(0x62)
        case 0x09: output.append(0x74)
        case 0x0A: output.append(0x6E)
        case 0x0C: output.append(0x66)
        case 0x0D: output.append(0x72)
        default:
            output += [0x75, 0x30, 0x30, 0x30 + (byte >> 4)]
            output.append(byte & 15 < 10 ? 0x30 + (byte & 15) : 0x57 + (byte & 15))
        }
    }
}
