@testable import Expressions

extension ExpressionGenerator {
    /// Something of the catalogues that gives a kind.
    private struct Choice {
        enum Shape { case call, infix, prefix, whole }

        let shape: Shape
        /// Of a function or operator its name; the whole expression, where its arguments must be such as they are.
        let text: String
        var arguments: [SQLType] = []
        var narrow: Set<Int> = []
    }

    private static let kinds: [SQLType: Kind] = [
        .int8: .int, .float8: .float, .numeric: .numeric, .text: .text, .bool: .bool, .timestamptz: .timestamp,
        .timestamp: .local, .interval: .interval, .date: .date, .jsonb: .json, .uuid: .uuid,
    ]

    /// Functions that do not take every value of their arguments' types, or whose work has no bound that suits a test.
    private static let particular: Set<String> = [
        "extract", "date_part", "date_trunc", "timezone", "make_date", "make_timestamp", "make_timestamptz",
        "make_interval", "encode", "decode", "convert_to", "convert_from", "to_char", "to_date", "to_timestamp",
        "sha224",
        "sha256", "sha384", "sha512", "chr", "position",
        "width_bucket", "^", "power", "pow", "exp", "ln", "log", "sqrt", "<<", ">>",
        "date_bin",
    ]

    private static let catalogue: [Kind: [Choice]] = {
        var all: [Kind: [Choice]] = [:]
        func add(_ shape: Choice.Shape, _ name: String, _ signature: Signature) {
            guard let kind = kinds[signature.result], !particular.contains(name),
                !(name == "/" && signature.arguments[0] == .interval)
            else { return }
            all[kind, default: []].append(
                Choice(shape: shape, text: name, arguments: signature.arguments, narrow: signature.narrow))
        }
        for (name, signatures) in OperatorCatalog.functions.sorted(by: { $0.key < $1.key }) {
            for signature in signatures { add(.call, name, signature) }
        }
        for (name, signatures) in OperatorCatalog.binary.sorted(by: { $0.key < $1.key }) {
            for signature in signatures { add(.infix, name, signature) }
        }
        for (name, signatures) in OperatorCatalog.prefix.sorted(by: { $0.key < $1.key }) {
            for signature in signatures { add(.prefix, name, signature) }
        }
        let texts = CoverageMatrix.entries.filter { $0.name.hasPrefix("to_char") || $0.name.hasPrefix("regexp_sub") }
        for entry in texts {
            all[.text, default: []] += entry.expressions.map { Choice(shape: .whole, text: $0) }
        }
        return all
    }()

    mutating func catalogued(_ kind: Kind, _ depth: Int) -> String? {
        guard let choices = Self.catalogue[kind] else { return nil }
        let choice = random.pick(choices)
        var arguments: [String] = []
        for (place, type) in choice.arguments.enumerated() {
            if choice.narrow.contains(place) {
                arguments.append(small())
            } else if let kind = Self.kinds[type] {
                arguments.append(make(kind, max(depth, 0)))
            } else {
                arguments.append(CoverageMatrix.column(type, place))
            }
        }
        let text =
            switch choice.shape {
            case .call: "\(choice.text)(\(arguments.joined(separator: ", ")))"
            case .infix: "(\(arguments[0]) \(choice.text) \(arguments[1]))"
            case .prefix: "(\(choice.text) \(arguments[0]))"
            case .whole: choice.text
            }
        // PostgreSQL's int4 is kept out.
        return kind == .int ? "(\(text))::int8" : text
    }
}
