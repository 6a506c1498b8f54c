private import CSimdJSON

/// JSON texts as jsonb takes them.
public enum JSONText {
    /// What is wrong with a text, or nil: RFC 8259, no U+0000, no half surrogate pairs, numbers that numeric can hold,
    /// nested no deeper than 1,000.
    public static func check(_ text: Span<UInt8>) -> (code: String, message: String)? {
        var fault = mr_fault()
        let status = unsafe text.withUnsafeBufferPointer { bytes in
            unsafe mr_check_json(bytes.baseAddress, bytes.count, 1_000, &fault)
        }
        guard status == 0 else { return ("invalid_json", "no memory to check a JSON text") }
        guard Int(fault.code) != MR_FAULT_NONE else { return nil }
        let found = DecodeFault(
            code: Int(fault.code), why: Int(fault.why), at: Int(fault.at), found: Int(fault.found))
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

    /// Appends one byte of UTF-8 as it stands inside a JSON string.
    public static func appendStringByte(_ byte: UInt8, into output: inout [UInt8]) {
        if byte < 0x20 || byte == 0x22 || byte == 0x5C {
            appendEscape(byte, into: &output)
        } else {
            output.append(byte)
        }
    }

    /// Makes the bytes from a place on, which are UTF-8, what stands inside a JSON string.
    public static func escapeString(from start: Int, in output: inout [UInt8]) {
        var more = 0
        for index in start..<output.count { more += escapeLength(output[index]) - 1 }
        guard more > 0 else { return }
        // From the end, so that no byte is overwritten before it was read.
        var read = output.count
        output.append(contentsOf: repeatElement(0, count: more))
        var write = output.count
        while read > start {
            read -= 1
            let byte = output[read]
            switch escapeLength(byte) {
            case 1: output[write - 1] = byte
            case 2:
                output[write - 1] = letter(byte) ?? byte
                output[write - 2] = 0x5C
            default:
                output[write - 1] = hexDigit(byte & 15)
                output[write - 2] = hexDigit(byte >> 4)
                output[write - 3] = 0x30
                output[write - 4] = 0x30
                output[write - 5] = 0x75
                output[write - 6] = 0x5C
            }
            write -= escapeLength(byte)
        }
    }

    /// Appends bytes as they are.
    public static func append(_ text: Span<UInt8>, into output: inout [UInt8]) {
        unsafe text.withUnsafeBufferPointer { unsafe output.append(contentsOf: $0) }
    }

    private static func appendEscape(_ byte: UInt8, into output: inout [UInt8]) {
        output.append(0x5C)
        if let letter = letter(byte) { return output.append(letter) }
        output.append(0x75)
        output.append(0x30)
        output.append(0x30)
        output.append(hexDigit(byte >> 4))
        output.append(hexDigit(byte & 15))
    }

    private static func escapeLength(_ byte: UInt8) -> Int {
        if letter(byte) != nil { return 2 }
        return byte < 0x20 ? 6 : 1
    }

    /// What stands for a byte behind a backslash, where one byte does.
    private static func letter(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x22, 0x5C: byte
        case 0x08: 0x62
        case 0x09: 0x74
        case 0x0A: 0x6E
        case 0x0C: 0x66
        case 0x0D: 0x72
        default: nil
        }
    }

    private static func hexDigit(_ digit: UInt8) -> UInt8 { digit < 10 ? 0x30 + digit : 0x57 + digit }
}
