/// A statement whose text is put together when it runs: parsed at every execution, never cached.
///
/// In a string interpolation a `PostgresValue` becomes a parameter and `identifier:` a quoted name, so that a value
/// cannot become SQL: `"select * from \(identifier: schema, table) where id = \(.int8(id))"`.
public struct PostgresQuery: Sendable, ExpressibleByStringInterpolation {
    public private(set) var sql: String
    public private(set) var parameters: [PostgresValue]

    public init(stringLiteral value: String) {
        sql = value
        parameters = []
    }

    public init(stringInterpolation: StringInterpolation) {
        sql = stringInterpolation.sql
        parameters = stringInterpolation.parameters
    }

    /// Text from elsewhere, with its parameters. Whoever calls this answers for what the text does.
    public init(unsafeText sql: String, _ parameters: [PostgresValue] = []) {
        self.sql = sql
        self.parameters = parameters
    }

    public struct StringInterpolation: StringInterpolationProtocol {
        var sql = ""
        var parameters: [PostgresValue] = []

        public init(literalCapacity: Int, interpolationCount: Int) {
            sql.reserveCapacity(literalCapacity + interpolationCount * 4)
        }

        public mutating func appendLiteral(_ literal: String) {
            sql += literal
        }

        public mutating func appendInterpolation(_ value: PostgresValue) {
            parameters.append(value)
            sql += "$\(parameters.count)"
        }

        /// One name, or several joined by dots, each quoted.
        public mutating func appendInterpolation(identifier names: String...) {
            sql += names.map(PostgresQuery.quoted(identifier:)).joined(separator: ".")
        }

        /// Several names joined by commas, each quoted: a column list.
        public mutating func appendInterpolation(identifiers names: [String]) {
            sql += names.map(PostgresQuery.quoted(identifier:)).joined(separator: ", ")
        }

        /// A quoted string literal, for statements that take no parameters (DDL, COPY, SET).
        public mutating func appendInterpolation(literal text: String) {
            sql += PostgresQuery.quoted(literal: text)
        }

        /// Text that becomes SQL as it is.
        public mutating func appendInterpolation(unsafeText text: String) {
            sql += text
        }
    }

    /// A name as PostgreSQL reads it back unchanged: in double quotes, NULs left out.
    public static func quoted(identifier name: String) -> String {
        var quoted = "\""
        for scalar in name.unicodeScalars where scalar != "\0" {
            if scalar == "\"" { quoted += "\"\"" } else { quoted.unicodeScalars.append(scalar) }
        }
        return quoted + "\""
    }

    /// Text as a string literal that reads the same whatever `standard_conforming_strings` says.
    public static func quoted(literal text: String) -> String {
        let escape = text.unicodeScalars.contains("\\")
        var quoted = escape ? " E'" : "'"
        for scalar in text.unicodeScalars where scalar != "\0" {
            if scalar == "'" || scalar == "\\" { quoted.unicodeScalars.append(scalar) }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "'"
    }
}
