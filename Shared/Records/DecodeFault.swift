private import CSimdJSON

/// A record's fault as the shim has it; its code and words as users see them.
struct DecodeFault {
    var code: Int
    var why: Int
    var at: Int
    var found: Int

    /// The stable code.
    var name: String {
        switch code {
        case MR_FAULT_NOT_AN_OBJECT: "not_an_object"
        case MR_FAULT_INVALID_UTF8: "invalid_utf8"
        case MR_FAULT_NUL: "nul_character"
        case MR_FAULT_LONE_SURROGATE: "lone_surrogate"
        case MR_FAULT_TOO_DEEP: "too_deep"
        case MR_FAULT_NUMBER_RANGE: "number_out_of_range"
        case MR_FAULT_TOO_LARGE: "record_too_large"
        case MR_FAULT_CSV_COLUMNS: "csv_column_count"
        case MR_FAULT_INVALID_CSV: "invalid_csv"
        default: "invalid_json"
        }
    }

    var message: String {
        switch code {
        case MR_FAULT_NOT_AN_OBJECT: "the record is no JSON object"
        case MR_FAULT_INVALID_UTF8: "invalid UTF-8 at byte \(at)"
        case MR_FAULT_NUL: "the character U+0000 at byte \(at) cannot be stored"
        case MR_FAULT_LONE_SURROGATE: "half of a surrogate pair at byte \(at)"
        case MR_FAULT_TOO_DEEP: "nested too deeply at byte \(at)"
        case MR_FAULT_NUMBER_RANGE: "the number at byte \(at) has more digits than numeric can hold"
        case MR_FAULT_INVALID_CSV where why == MR_WHY_UNCLOSED:
            "the quote that opens field \(found), at byte \(at), is never closed"
        case MR_FAULT_INVALID_CSV: "text follows the closing quote of field \(found), at byte \(at)"
        default: "invalid JSON at byte \(at): \(reason)"
        }
    }

    private var reason: String {
        switch why {
        case MR_WHY_END: "the record ends too early"
        case MR_WHY_KEY: "expected a key"
        case MR_WHY_COLON: "expected ':'"
        case MR_WHY_COMMA: "expected ',' or the end of the array or object"
        case MR_WHY_TRAILING: "unexpected data after the value"
        case MR_WHY_NUMBER: "invalid number"
        case MR_WHY_LITERAL: "expected true, false or null"
        case MR_WHY_NO_VALUE: "no JSON value begins with \(character)"
        case MR_WHY_ESCAPE: "invalid escape sequence"
        case MR_WHY_CONTROL: "a control character inside a string"
        case MR_WHY_UNCLOSED: "a string is never closed"
        default: "expected a value"
        }
    }

    /// The character found, as a message names it: by itself where it can be seen.
    private var character: String {
        let code = String(found, radix: 16, uppercase: true)
        let name = "U+" + String(repeating: "0", count: max(0, 4 - code.count)) + code
        guard let scalar = Unicode.Scalar(UInt32(clamping: found)) else { return name }
        if scalar == "\u{FEFF}" { return "a byte order mark (\(name))" }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator, .nonspacingMark, .enclosingMark, .spacingMark:
            return name
        default: return "\"\(scalar)\""
        }
    }

    func fault(row: Int32, frame: BatchFrame, fullLength: UInt64?) -> RowFault {
        var message = message
        if let fullLength { message = "the record has \(fullLength) bytes, more than the limit" }
        if code == MR_FAULT_CSV_COLUMNS { message = "expected \(at) fields, found \(found)" }
        return RowFault(row: row, code: name, message: message)
    }
}
