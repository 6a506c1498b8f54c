/// A measure as it is written: `count()`, `count(ms)`, `sum(bytes)`, `quantile(ms, 0.99)`; a column whose name is no
/// word stands in double quotes.
struct RollupMeasure: Sendable, Equatable {
    enum Function: String, CaseIterable, Sendable {
        case count, sum, min, max, avg, stddev, quantile
    }

    /// Why a text is no measure.
    struct Fault: Error {
        var message: String
    }

    var function: Function
    /// Nil for `count()`.
    var column: String?
    /// Of a quantile, from 0 to 1.
    var fraction: Double?

    init(_ text: String) throws(Fault) {
        guard let open = text.firstIndex(of: "("), text.last == ")" else {
            throw Fault(message: "must be a function of a column, as sum(bytes)")
        }
        let name = Self.trimmed(text[..<open])
        guard let function = Function(rawValue: String(name)) else {
            let known = Function.allCases.map(\.rawValue).joined(separator: ", ")
            throw Fault(message: "has no function \(name); there are \(known)")
        }
        self.function = function
        var rest = Self.trimmed(text[text.index(after: open)...].dropLast())
        column = try Self.takeColumn(&rest)
        rest = Self.trimmed(rest)
        if function == .quantile {
            guard rest.first == ",", let value = Double(Self.trimmed(rest.dropFirst())), (0...1).contains(value) else {
                throw Fault(message: "must name a fraction from 0 to 1 after the column, as quantile(ms, 0.99)")
            }
            fraction = value
            rest = ""
        }
        if !rest.isEmpty { throw Fault(message: "has more than it may: \(rest)") }
        if column == nil, function != .count { throw Fault(message: "must name a column, as \(function.rawValue)(ms)") }
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " }
        while text.last == " " { text.removeLast() }
        return text
    }

    private static func takeColumn(_ text: inout Substring) throws(Fault) -> String? {
        guard text.first == "\"" else {
            let word = text.prefix { $0 != "," && $0 != " " }
            text = text.dropFirst(word.count)
            guard word.allSatisfy({ $0 == "_" || $0.isLetter || $0.isNumber }) else {
                throw Fault(message: "must have the column \(word) in double quotes")
            }
            return word.isEmpty ? nil : String(word)
        }
        var name = ""
        text = text.dropFirst()
        while let next = text.popFirst() {
            if next != "\"" {
                name.append(next)
            } else if text.first == "\"" {
                name.append(next)
                text.removeFirst()
            } else {
                return name
            }
        }
        throw Fault(message: "has a quote that does not end")
    }
}
