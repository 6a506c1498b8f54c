private import COpenSSL

/// `bytea`: what makes it, takes it, and writes it as text.
enum ByteFunctions {
    static let all: [String: [Signature]] = [
        "convert_to": [
            Signature(.text, .text, result: .bytea, Lift.two(.bytea, canFault: true, encoded)).checking(
                1, checkEncoding)
        ],
        "convert_from": [
            Signature(.bytea, .text, result: .text, Lift.two(.text, canFault: true, decoded)).checking(1, checkEncoding)
        ],
        "encode": [
            Signature(.bytea, .text, result: .text, Lift.text(canFault: true, encode)).checking(1, checkFormat)
        ],
        "decode": [
            Signature(.text, .text, result: .bytea, Lift.text(canFault: true, type: .bytea, decode))
                .checking(1, checkFormat)
        ],
        "length": [Signature(.bytea, result: .int8, Lift.one(.int8) { (bytes: Bytes) in Int64(bytes.count) })],
        "octet_length": [Signature(.bytea, result: .int8, Lift.one(.int8) { (bytes: Bytes) in Int64(bytes.count) })],
        "md5": [Signature(.bytea, result: .text, digest("MD5", .text))],
        "sha224": hashes("SHA224"), "sha256": hashes("SHA256"), "sha384": hashes("SHA384"), "sha512": hashes("SHA512"),
    ]

    /// Of bytes, and of text, which PostgreSQL wants converted first.
    private static func hashes(_ name: String) -> [Signature] {
        [SQLType.bytea, .text].map { Signature($0, result: .bytea, digest(name, .bytea)) }
    }

    /// A digest by OpenSSL's name: its bytes, or these in hexadecimal as text.
    static func digest(_ name: String, _ type: SQLType) -> Kernel {
        Kernel(canFault: false) { arguments, frame, evaluation in
            let texts = BytesBuffer(arguments[0].values)
            let mask = arguments[0].mask
            let method = unsafe EVP_get_digestbyname(name)
            var hash = [UInt8](repeating: 0, count: 64)
            return Lift.build(type, arguments, frame, &evaluation) { (index, output) throws(Fault) in
                let text = texts[index & mask]
                var length: UInt32 = 0
                let isDone = unsafe text.withUnsafeBytes { source in
                    unsafe hash.withUnsafeMutableBufferPointer { target in
                        unsafe EVP_Digest(source.baseAddress, source.count, target.baseAddress, &length, method, nil)
                    }
                }
                precondition(isDone == 1, "OpenSSL refused to hash")
                guard type == .text else { return output.append(contentsOf: hash[..<Int(length)]) }
                for byte in hash[..<Int(length)] { ValueOutput.hex(byte, to: &output) }
            }
        }
    }

    // MARK: Text in UTF-8

    /// PostgreSQL reads letters and digits of an encoding's name only.
    @Sendable private static func checkEncoding(_ name: Bytes) throws(Fault) {
        let letters = name.lazy.filter { ($0 | 0x20) &- 0x61 < 26 || $0 &- 0x30 < 10 }.map { $0 | 0x20 }
        guard letters.elementsEqual("utf8".utf8) || letters.elementsEqual("unicode".utf8) else {
            throw .invalid("only the encoding UTF8 is supported, not \"\(String(decoding: name, as: UTF8.self))\"")
        }
    }

    private static func encoded(_ text: Bytes, _ encoding: Bytes) throws(Fault) -> Bytes? {
        try checkEncoding(encoding)
        return text
    }

    private static func decoded(_ bytes: Bytes, _ encoding: Bytes) throws(Fault) -> Bytes? {
        try checkEncoding(encoding)
        guard !bytes.contains(0), (try? UTF8Span(validating: bytes.span)) != nil else {
            throw Fault("invalid_cast", "invalid byte sequence for encoding \"UTF8\"")
        }
        return bytes
    }

    // MARK: encode and decode

    private enum Format: String, CaseIterable { case hex, base64, escape }

    private static func format(_ name: Bytes) throws(Fault) -> Format {
        let found = Format.allCases.first { format in
            name.count == format.rawValue.utf8.count
                && zip(name, format.rawValue.utf8).allSatisfy { $0 | 0x20 == $1 | 0x20 }
        }
        guard let found else { throw .invalid("unrecognized encoding: \"\(String(decoding: name, as: UTF8.self))\"") }
        return found
    }

    @Sendable private static func checkFormat(_ name: Bytes) throws(Fault) { _ = try format(name) }

    private static func encode(_ bytes: Bytes, _ name: Bytes, _ output: inout [UInt8]) throws(Fault) {
        switch try format(name) {
        case .hex: for byte in bytes { ValueOutput.hex(byte, to: &output) }
        case .base64: base64(bytes, to: &output)
        case .escape:
            for byte in bytes {
                if byte == UInt8(ascii: "\\") {
                    output.append(contentsOf: [byte, byte])
                } else if byte == 0 || byte >= 0x80 {
                    output.append(contentsOf: [
                        UInt8(ascii: "\\"), 0x30 + byte >> 6, 0x30 + byte >> 3 & 7, 0x30 + byte & 7,
                    ])
                } else {
                    output.append(byte)
                }
            }
        }
    }

    private static func decode(_ text: Bytes, _ name: Bytes, _ output: inout [UInt8]) throws(Fault) {
        switch try format(name) {
        case .hex: try hexadecimal(text, to: &output)
        case .base64: try fromBase64(text, to: &output)
        case .escape: try unescape(text, to: &output)
        }
    }

    static func hexadecimal(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        var high: UInt8?
        for byte in text {
            if high == nil, [0x20, 0x0A, 0x09, 0x0D].contains(byte) { continue }
            guard let nibble = ValueInput.nibble(byte) else {
                throw .invalid("invalid hexadecimal digit")
            }
            if let first = high { output.append(first << 4 | nibble) }
            high = high == nil ? nibble : nil
        }
        if high != nil { throw .invalid("invalid hexadecimal data: odd number of digits") }
    }

    /// `\\` for a backslash, `\ooo` for a byte in octal.
    static func unescape(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            guard byte == UInt8(ascii: "\\") else {
                output.append(byte)
                index += 1
                continue
            }
            let rest = text[(index + 1)...]
            if rest.first == byte {
                output.append(byte)
                index += 2
            } else if rest.count >= 3, let first = rest.first, first &- 0x30 < 4,
                rest.prefix(3).allSatisfy({ $0 &- 0x30 < 8 })
            {
                output.append(rest.prefix(3).reduce(0) { $0 << 3 | ($1 &- 0x30) })
                index += 4
            } else {
                throw Fault("invalid_cast", "invalid input syntax for type bytea")
            }
        }
    }

    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    /// In lines of 76 characters, as MIME and PostgreSQL have it.
    private static func base64(_ bytes: Bytes, to output: inout [UInt8]) {
        var (index, line) = (bytes.startIndex, 0)
        while index < bytes.endIndex {
            let count = min(3, bytes.endIndex - index)
            var group: UInt32 = 0
            for place in 0..<3 { group = group << 8 | (place < count ? UInt32(bytes[index + place]) : 0) }
            for place in 0..<4 {
                output.append(
                    place <= count ? alphabet[Int(group >> (18 - 6 * UInt32(place)) & 63)] : UInt8(ascii: "="))
            }
            index += count
            line += 4
            if line == 76 {
                output.append(0x0A)
                line = 0
            }
        }
    }

    private static func fromBase64(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        let invalid = Fault.invalid("invalid base64 end sequence")
        var (group, count, padding): (UInt32, Int, Int) = (0, 0, 0)
        for byte in text {
            if [0x20, 0x09, 0x0A, 0x0D].contains(byte) { continue }
            var value: UInt32 = 0
            if byte == UInt8(ascii: "=") {
                if padding == 0 {
                    guard count == 2 || count == 3 else {
                        throw .invalid("unexpected \"=\" while decoding base64 sequence")
                    }
                    padding = 4 - count
                }
            } else {
                guard let place = alphabet.firstIndex(of: byte) else {
                    throw .invalid("invalid symbol found while decoding base64 sequence")
                }
                value = UInt32(place)
            }
            group = group << 6 | value
            count += 1
            guard count == 4 else { continue }
            output.append(UInt8(truncatingIfNeeded: group >> 16))
            if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
            if padding < 1 { output.append(UInt8(truncatingIfNeeded: group)) }
            (group, count) = (0, 0)
        }
        if count != 0 { throw invalid }
    }
}
