/// Texts as values of columns whose types were inferred: what ``ColumnInference`` gives a cell that type for, or one
/// that goes into it without loss. Of JSON numbers there is told that they are.
///
/// What not even PostgreSQL's input rules take has their fault, anything else is a `form` or a `loss`.
extension TextInput {
    /// Digits without needless zeros or a sign that says nothing.
    static func inferredInt8(_ text: Span<UInt8>, isNumber: Bool) throws(InputFault) -> Int64 {
        let value = try int8(text)
        let first = text[0] == 0x2D ? 1 : 0
        // Only white space and a plus could be there besides.
        guard isDigit(text[first]), isDigit(text[text.count - 1]), text[first] != 0x30 || text.count == 1 else {
            throw .form
        }
        return value
    }

    /// A number that PostgreSQL prints again of the double.
    static func inferredFloat8(_ text: Span<UInt8>, isNumber: Bool) throws(InputFault) -> Double {
        let value = try float8(text)
        // A JSON number this short that is no int8 has a point or an exponent, and so at most 15 digits: see
        // DecimalShape. Longer ones are few.
        if isNumber, text.count <= 16, value == 0 || (value.magnitude > 1e-290 && value.magnitude < 1e15) {
            return value
        }
        if !isNumber {
            guard let type = DecimalShape.cellType(text) else { throw .form }
            if type == .float8 { return value }
        }
        guard DecimalShape.isFloat8(text) else { throw .loss }
        return value
    }

    static func inferredFloat8(_ value: Int64) throws(InputFault) -> Double {
        guard DecimalShape.isFloat8(value) else { throw .loss }
        return Double(value)
    }

    static func inferredNumeric(
        _ text: Span<UInt8>, isNumber: Bool, into output: inout [UInt8]
    ) throws(InputFault) {
        let start = output.count
        try numeric(text, into: &output)
        guard isNumber || DecimalShape.isCell(text) else {
            output.removeLast(output.count - start)
            throw .form
        }
    }

    static func inferredBool(_ text: Span<UInt8>, isNumber: Bool) throws(InputFault) -> Bool {
        if let value = inferredBool(text) { return value }
        _ = try bool(text)
        throw .form
    }

    /// `true` or `false` in lower, upper or title case, not `tRUE`.
    static func inferredBool(_ text: Span<UInt8>) -> Bool? {
        let isTrue = isWord(text, "true")
        guard isTrue || isWord(text, "false") else { return nil }
        let isUpper = text[1] < 0x61
        if isUpper, text[0] >= 0x61 { return nil }
        for i in 2..<text.count where (text[i] < 0x61) != isUpper { return nil }
        return isTrue
    }

    /// RFC 3339, or a day, which is its midnight.
    static func inferredTimestamptz(_ text: Span<UInt8>, isNumber: Bool) throws(InputFault) -> Int64 {
        if let moment = rfc3339(text) { return moment }
        if let day = isoDay(text) { return day * CivilDate.microsecondsPerDay }
        _ = try timestamptz(text)
        throw .form
    }

    /// A day, or its midnight as RFC 3339 has it.
    static func inferredDate(_ text: Span<UInt8>, isNumber: Bool) throws(InputFault) -> Int64 {
        if let day = isoDay(text) { return day }
        guard let moment = rfc3339(text) else {
            _ = try date(text)
            throw .form
        }
        guard moment % CivilDate.microsecondsPerDay == 0 else { throw .loss }
        return moment / CivilDate.microsecondsPerDay
    }

    /// The form of RFC 9562, with letters of either case.
    static func inferredUUID(
        _ text: Span<UInt8>, isNumber: Bool, into output: inout [UInt8]
    ) throws(InputFault) {
        let start = output.count
        try uuid(text, into: &output)
        guard text.count == 36, text[8] == 0x2D, text[13] == 0x2D, text[18] == 0x2D, text[23] == 0x2D else {
            output.removeLast(output.count - start)
            throw .form
        }
    }
}
