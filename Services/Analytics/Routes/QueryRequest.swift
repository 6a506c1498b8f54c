import HTTP
import HTTPServer
import JSON
import Postgres
import Records

/// A timeout: a duration such as `"30s"`, or a number of seconds.
private struct QueryTimeout: JSONFieldValue {
    let duration: Duration

    static var expectation: String { "a duration such as \"30s\", or a number of seconds" }
    static var placeholder: QueryTimeout { QueryTimeout(duration: .zero) }
    static func read(_ value: JSONValue) -> QueryTimeout? {
        if let text = value.string { return DurationText.parse(text).map { QueryTimeout(duration: $0) } }
        guard let seconds = value.double, seconds >= 0, seconds <= 1e6 else { return nil }
        return QueryTimeout(duration: .seconds(seconds))
    }
}

/// `numbers` of a query.
enum QueryNumbers: String, CaseIterable {
    case number, string

    var style: NumberStyle { self == .string ? .strings : .plain }
}

/// `format` of a query.
enum QueryFormat: String, CaseIterable { case json, csv, ndjson }

extension UserQuery {
    /// Reads a request's query and body. Throws `invalid_parameter`, `invalid_request`, `unknown_field` and what
    /// reading JSON throws.
    init(_ request: Request) async throws {
        let query = try request.query()
        let numbers = query.value("numbers", oneOf: QueryNumbers.self) ?? .number
        try query.finish()
        let fields = try await request.fields()
        self.init(sql: fields.required("sql", String.self))
        self.numbers = numbers.style
        let format = fields.optional("format", oneOf: QueryFormat.self) ?? .json
        switch format {
        case .json: layout = .table
        case .csv: layout = .csv
        case .ndjson: layout = .ndjson
        }
        parameters = Self.parameters(fields)
        timeout = fields.optional("timeout", QueryTimeout.self)?.duration ?? Self.usualTimeout
        if timeout <= .zero || timeout > Self.longestTimeout {
            fields.fault("timeout", "expected more than 0 and at most \(DurationText.format(Self.longestTimeout))")
        }
        let largest = format == .json ? Self.largestLimit : Int.max
        limit = fields.optional("limit", Int.self) ?? (format == .json ? Self.usualLimit : nil)
        if let limit, limit < 0 || limit > largest {
            fields.fault("limit", "expected an integer from 0\(format == .json ? " to \(largest)" : "")")
        }
        try fields.finish()
    }

    private static func parameters(_ fields: JSONFields) -> [PostgresValue] {
        let values = fields.optional("params", [JSONValue].self) ?? []
        if values.count > 1000 { fields.fault("params", "expected at most 1000") }
        return values.enumerated().map { index, value in
            guard let parameter = parameter(value) else {
                fields.fault("params[\(index)]", "expected no U+0000 and no array within an array")
                return .null
            }
            return parameter
        }
    }

    /// Each is bound as text whose type the statement decides, as with a literal in quotes; a JSON array becomes
    /// PostgreSQL's, an object is JSON text.
    private static func parameter(_ value: JSONValue) -> PostgresValue? {
        switch value {
        case .null: return .null
        case .array(let items):
            var elements: [String] = []
            for item in items {
                guard item.array == nil, let text = text(item) else { return nil }
                elements.append(item.isNull ? "NULL" : quotedElement(text))
            }
            return .inferred("{" + elements.joined(separator: ",") + "}")
        default: return text(value).map(PostgresValue.inferred)
        }
    }

    private static func text(_ value: JSONValue) -> String? {
        switch value {
        case .null: ""
        case .bool(let value): value ? "true" : "false"
        case .number(let number): number.int64.map { String($0) } ?? number.text
        case .string(let text): text.utf8.contains(0) ? nil : text
        case .array, .object: String(decoding: value.serialized(), as: UTF8.self)
        }
    }

    private static func quotedElement(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            if scalar == "\"" || scalar == "\\" { quoted += "\\" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }
}
