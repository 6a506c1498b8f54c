import JSON
import Records

/// A parameter of an endpoint.
struct EndpointParameter: Sendable, Equatable {
    /// What a call that does not give it has.
    enum Standing: Sendable, Equatable {
        case required
        /// A value as `text(of:as:)` writes it; nil is NULL.
        case optional(String?)
    }

    /// The most parameters of one endpoint.
    static let maximumCount = 64
    /// What calls ask about the answer's form; no parameter has such a name.
    static let reservedNames: Set<String> = ["format", "numbers"]

    var name: String
    var type: ColumnType
    var standing: Standing

    /// The value of a text, as PostgreSQL's input functions take it and as its output functions print it: so the same
    /// value is the same text, however it was written. Throws what is wrong, for people.
    static func text(of text: String, as type: ColumnType) throws(ParameterFault) -> String {
        if type == .jsonb, let fault = JSONText.check(text.utf8.span) { throw ParameterFault(message: fault.message) }
        var output: [UInt8] = []
        do throws(InputFault) {
            let bytes = text.utf8.span
            switch type {
            case .text, .jsonb: return text
            case .int8: TextOutput.append(try TextInput.int8(bytes), into: &output)
            case .float8: TextOutput.append(try TextInput.float8(bytes), into: &output)
            case .numeric: try TextInput.numeric(bytes, into: &output)
            case .bool: return try TextInput.bool(bytes) ? "true" : "false"
            case .timestamptz: TextOutput.append(timestamptz: try TextInput.timestamptz(bytes), into: &output)
            case .date: TextOutput.append(date: try TextInput.date(bytes), into: &output)
            case .uuid:
                var value: [UInt8] = []
                try TextInput.uuid(bytes, into: &value)
                TextOutput.append(uuid: value[...], into: &output)
            }
        } catch {
            throw ParameterFault(error, text, type)
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// A value as answers have it: numbers with all their digits, times in RFC 3339.
    func json(of text: String) -> JSONValue {
        switch type {
        case .text, .date, .uuid: .string(text)
        case .int8, .float8, .numeric: JSONNumber(text: text).map { .number($0) } ?? .string(text)
        case .bool: .bool(text == "true")
        case .jsonb: (try? JSONValue.parse(Array(text.utf8))) ?? .string(text)
        case .timestamptz: .string(Self.rfc3339(text))
        }
    }

    private static func rfc3339(_ text: String) -> String {
        guard let time = try? TextInput.timestamptz(text.utf8.span) else { return text }
        var output: [UInt8] = []
        TextOutput.append(rfc3339: time, into: &output)
        return String(decoding: output, as: UTF8.self)
    }
}

/// Why a text is no value of a parameter's type.
struct ParameterFault: Error, Equatable {
    var message: String
}

extension ParameterFault {
    init(_ fault: InputFault, _ text: String, _ type: ColumnType) {
        message = fault.message(type, text)
        guard type == .timestamptz, let space = text.lastIndex(of: " ") else { return }
        let mended = text[..<space] + "+" + text[text.index(after: space)...]
        if (try? TextInput.timestamptz(String(mended).utf8.span)) != nil {
            message += "; in a query a + stands for a space: write it as %2B"
        }
    }
}
