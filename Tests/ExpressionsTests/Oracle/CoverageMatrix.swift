@testable import Expressions

/// Every operator, function, cast and form of the language with expressions over the oracle's columns.
///
/// It is made of the language's own catalogues, so that nothing can be added to them without being compared.
enum CoverageMatrix {
    struct Entry {
        /// `name(argument types)`.
        let name: String
        let expressions: [String]
    }

    static let entries: [Entry] = functions + operators + prefixes + casts + specials + forms

    // MARK: Catalogues

    private static let functions = OperatorCatalog.functions.sorted { $0.key < $1.key }.flatMap { name, signatures in
        signatures.map { signature in
            Entry(name: title(name, signature.arguments), expressions: calls(name, signature))
        }
    }

    private static let operators = OperatorCatalog.binary.sorted { $0.key < $1.key }.flatMap { symbol, signatures in
        signatures.map { signature in
            let operands = signature.arguments.indices.map { operand(symbol, signature, $0) }
            return Entry(
                name: title(symbol, signature.arguments), expressions: ["(\(operands[0]) \(symbol) \(operands[1]))"])
        }
    }

    private static let prefixes = OperatorCatalog.prefix.sorted { $0.key < $1.key }.flatMap { symbol, signatures in
        signatures.map { signature in
            Entry(
                name: title("prefix " + symbol, signature.arguments),
                expressions: ["(\(symbol) \(operand(symbol, signature, 0)))"])
        }
    }

    private static let types = SQLType.allCases.filter { $0 != .unknown }

    /// All pairs of types; a cast that does not exist must not exist in PostgreSQL either. There bool and int4 convert
    /// into each other, here int8, which is all integers.
    private static let casts =
        types.flatMap { source in
            types.map { target in
                let name = "\(source.name)::\(target.name)"
                let value = "(\(column(source, 0)))"
                switch (source, target) {
                case (.bool, .int8): return Entry(name: name, expressions: ["\(value)::int4"])
                case (.int8, .bool): return Entry(name: name, expressions: ["(s1::int4)::bool"])
                default: return Entry(name: name, expressions: ["\(value)::\(target.name)"])
                }
            }
        }
        + ["int4", "int2", "numeric(10,2)", "numeric(5)", "numeric(3,5)", "numeric(6,-2)"].flatMap { target in
            [SQLType.int8, .numeric, .float8, .text].map { source in
                Entry(name: "\(source.name)::\(target)", expressions: ["(\(column(source, 0)))::\(target)"])
            }
        }

    private static func title(_ name: String, _ types: [SQLType]) -> String {
        "\(name)(\(types.map(\.name).joined(separator: ", ")))"
    }

    // MARK: Arguments

    /// An expression of a type over columns; `place` tells operands of the same type apart.
    static func column(_ type: SQLType, _ place: Int) -> String {
        let first = place % 2 == 0
        return switch type {
        case .int8: ["i1", "i2", "i1"][place % 3]
        case .float8: ["f1", "f2", "f3"][place % 3]
        case .numeric: ["n1", "n2", "n3"][place % 3]
        case .text, .unknown: ["t1", "t2", "t3"][place % 3]
        case .bool: first ? "b1" : "b2"
        case .timestamptz: first ? "ts1" : "ts2"
        case .timestamp: first ? "l1::timestamp" : "l2::timestamp"
        case .date: first ? "d1" : "d2"
        case .uuid: first ? "u1" : "u2"
        case .jsonb: first ? "j1" : "j2"
        case .interval: first ? "v1::interval" : "v2::interval"
        case .bytea: first ? "x1::bytea" : "x2::bytea"
        case .textArray: "p1::text[]"
        }
    }

    /// An argument; what PostgreSQL takes as int4 is small, and cast to it.
    private static func operand(_ name: String, _ signature: Signature, _ place: Int) -> String {
        // Keys that the documents have.
        if ["->", "->>", "?", "-"].contains(name), signature.arguments == [.jsonb, .text], place == 1 { return "k1" }
        if signature.narrow.contains(place) { return "s\(1 + place % 3)::int4" }
        let type = signature.arguments[place]
        // Divided by less than one they may go beyond what PostgreSQL 15 checks.
        if name == "/", type == .float8, signature.arguments[0] == .interval { return "(1 + abs(s1))::float8" }
        return column(type, place)
    }

    /// Calls of a function, with what suits it for the arguments that not every text does for.
    private static func calls(_ name: String, _ signature: Signature) -> [String] {
        var arguments = signature.arguments.indices.map { operand(name, signature, $0) }
        switch name {
        case "extract":
            return (OracleTable.units + ["fortnight"]).map { "extract(\($0) from \(arguments[1]))" }
        case "date_trunc", "date_part":
            arguments[0] = "unit"
            if arguments.count > 2 { arguments[2] = "zone" }
        case "timezone" where signature.arguments[0] == .text: arguments[0] = "zone"
        case "make_timestamptz" where arguments.count > 6: arguments[6] = "zone"
        case "age": return ["age(\(arguments[0]), \(arguments[1]))", "age(\(arguments[1]), \(arguments[0]))"]
        case "make_interval" where arguments.count > 6: arguments[6] = "(s3 * 3.7)::float8"
        case "width_bucket" where signature.arguments[0] == .float8:
            return ["width_bucket(f1, f2, f3, abs(s1)::int4)", "width_bucket(s1::float8, -3.5, 7.25, s2::int4)"].map {
                "case when greatest(abs(f1), abs(f2), abs(f3)) < 1e300 then \($0) end"
            }
        case "position": return ["position(t2 in t1)"]
        case "encode": arguments[1] = "form"
        case "decode": arguments = ["coded", "form"]
        case "convert_to", "convert_from": arguments[1] = "'UTF8'"
        case "to_char": arguments[1] = "picture"
        case "to_date",
            "to_timestamp" where arguments.count == 2:
            arguments = ["stamp", "mask"]
        case "to_timestamp": arguments = ["(i1 % 100000000000::int8)::float8 / 8"]
        case "sha224", "sha256", "sha384", "sha512":
            // Of text only here; PostgreSQL wants it converted.
            if signature.arguments == [.text] { arguments = ["convert_to(t1, 'UTF8')"] }
            return ["encode(\(name)(\(arguments[0])), 'hex')"]
        case "chr": arguments = ["c1::int4"]
        case "make_date", "make_timestamp": arguments[0] = "c1::int4"
        default: break
        }
        if name == "make_timestamptz" { arguments[0] = "c1::int4" }
        if name.hasPrefix("make_timestamp") { arguments[5] = "(s3 * 3.7)::float8" }
        return ["\(name)(\(arguments.joined(separator: ", ")))"]
    }
}
