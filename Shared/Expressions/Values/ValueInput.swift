import Records

/// Values from text by the rules of PostgreSQL's input functions.
enum ValueInput {
    /// The text without white space around it.
    static func trimmed(_ text: Bytes) -> Bytes {
        var (start, end) = (text.startIndex, text.endIndex)
        while start < end, isSpace(text[start]) { start += 1 }
        while end > start, isSpace(text[end - 1]) { end -= 1 }
        return text[start..<end]
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

    static func int8(_ text: Bytes) throws(Fault) -> Int64 {
        do throws(InputFault) { return try TextInput.int8(text.span) } catch { throw Fault(error, .int8, text) }
    }

    static func numeric(_ text: Bytes) throws(Fault) -> Decimal {
        if let value = Decimal(trimmed(text)) { return value }
        var checked: [UInt8] = []
        do throws(InputFault) {
            try TextInput.numeric(text.span, into: &checked)
        } catch {
            throw Fault(error, .numeric, text)
        }
        guard let value = Decimal(checked[...]) else { throw Fault(.syntax, .numeric, text) }
        return value
    }

    static func float8(_ text: Bytes) throws(Fault) -> Double {
        // Short numbers are exact in one division.
        if text.count < 16, let decimal = Decimal(text), case .small(let mantissa, let scale) = decimal,
            mantissa != 0, mantissa.magnitude < 1 << 53, scale <= 22
        {
            return decimal.double
        }
        do throws(InputFault) { return try TextInput.float8(text.span) } catch { throw Fault(error, .float8, text) }
    }

    static func bool(_ text: Bytes) throws(Fault) -> Bool {
        do throws(InputFault) { return try TextInput.bool(text.span) } catch { throw Fault(error, .bool, text) }
    }

    static func timestamptz(_ text: Bytes) throws(Fault) -> Int64 {
        do throws(InputFault) {
            return try TextInput.timestamptz(text.span)
        } catch {
            throw Fault(error, .timestamptz, text)
        }
    }

    /// A zone in the text is read and ignored.
    static func timestamp(_ text: Bytes) throws(Fault) -> Int64 {
        do throws(InputFault) {
            return try TextInput.timestamp(text.span)
        } catch {
            let fault = Fault(error, .timestamptz, text)
            throw Fault(fault.code, fault.message.replacing("timestamp with time zone", with: "timestamp"))
        }
    }

    static func date(_ text: Bytes) throws(Fault) -> Int64 {
        do throws(InputFault) { return try TextInput.date(text.span) } catch { throw Fault(error, .date, text) }
    }

    /// 16 raw bytes.
    static func uuid(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        do throws(InputFault) {
            try TextInput.uuid(text.span, into: &output)
        } catch {
            throw Fault(error, .uuid, text)
        }
    }

    static func jsonb(_ text: Bytes) throws(Fault) -> Bytes {
        if let wrong = JSONText.check(text.span) { throw Fault("invalid_cast", wrong.message) }
        return text
    }

    /// Bytes in PostgreSQL's hexadecimal form, or in its older one of escapes.
    static func bytea(_ text: Bytes, to output: inout [UInt8]) throws(Fault) {
        if text.starts(with: "\\x".utf8) { return try ByteFunctions.hexadecimal(text.dropFirst(2), to: &output) }
        try ByteFunctions.unescape(text, to: &output)
    }

    static func nibble(_ byte: UInt8) -> UInt8? {
        if byte &- 0x30 < 10 { return byte &- 0x30 }
        let letter = (byte | 0x20) &- 0x61
        return letter < 6 ? letter + 10 : nil
    }
}

extension Fault {
    init(_ fault: InputFault, _ type: ColumnType, _ text: Bytes) {
        self.init(fault.code, fault.message(type, String(decoding: text, as: UTF8.self)))
    }
}
