public import JSON

/// A strict reader of a request's query that collects every wrong and unknown parameter.
///
/// Like `JSONFields`: read what is known, then `finish()`, which throws `invalid_parameter` naming all faults.
/// Names and values are decoded as forms are: `+` is a space.
public final class QueryFields {
    /// One parameter, decoded.
    public struct Item: Sendable, Hashable {
        public let name: String
        public let value: String
    }

    /// The most parameters a query may have.
    public static let maximumItems = 200

    private let items: [Item]
    private var known: Set<String> = []
    private var faults: [FieldFault] = []

    /// Throws `invalid_parameter` when the query does not decode at all.
    public init(_ head: HTTPRequestHead) throws(Problem) {
        items = try QueryFields.parse(head.queryBytes)
    }

    public init(query: String) throws(Problem) {
        items = try QueryFields.parse(Array(query.utf8)[...])
    }

    /// The parameters that nothing has asked for yet; they count as known from then on.
    public func remaining() -> [Item] {
        defer { known.formUnion(items.map(\.name)) }
        return items.filter { !known.contains($0.name) }
    }

    public func string(_ name: String) -> String? {
        known.insert(name)
        let given = items.filter { $0.name == name }
        if given.count > 1 { fault(name, "given more than once") }
        return given.first?.value
    }

    /// All values of a parameter that may be repeated.
    public func strings(_ name: String) -> [String] {
        known.insert(name)
        return items.filter { $0.name == name }.map(\.value)
    }

    /// The members of a comma-separated value; nil when the parameter is absent.
    public func list(_ name: String) -> [String]? {
        string(name)?.split(separator: ",", omittingEmptySubsequences: true).map(String.init)
    }

    public func requiredString(_ name: String) -> String {
        let value = string(name)
        if value == nil { fault(name, "missing") }
        return value ?? ""
    }

    public func int(_ name: String, in range: ClosedRange<Int> = .min ... .max) -> Int? {
        guard let text = string(name) else { return nil }
        if let value = Int(text), range.contains(value) { return value }
        let isBounded = range != .min ... .max
        fault(
            name,
            isBounded ? "expected an integer from \(range.lowerBound) to \(range.upperBound)" : "expected an integer")
        return nil
    }

    public func bool(_ name: String) -> Bool? {
        guard let text = string(name) else { return nil }
        if text == "true" { return true }
        if text != "false" { fault(name, "expected true or false") }
        return false
    }

    /// A duration such as `30s` or `500ms`, at most `maximum`.
    public func duration(_ name: String, maximum: Duration = DurationText.maximum) -> Duration? {
        guard let text = string(name) else { return nil }
        guard let value = DurationText.parse(text) else {
            fault(name, "expected \(Duration.expectation)")
            return nil
        }
        if value > maximum { fault(name, "expected at most \(DurationText.format(maximum))") }
        return value
    }

    public func value<T: RawRepresentable & CaseIterable>(_ name: String, oneOf type: T.Type) -> T?
    where T.RawValue == String {
        guard let text = string(name) else { return nil }
        if let value = T(rawValue: text) { return value }
        fault(name, "expected one of " + type.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", "))
        return nil
    }

    public func fault(_ name: String, _ message: String) {
        faults.append(FieldFault(path: name, message: message))
    }

    /// Throws everything found wrong, parameters that nothing asked for included.
    public func finish() throws(Problem) {
        for item in items where !known.contains(item.name) {
            known.insert(item.name)
            fault(item.name, "unknown parameter")
        }
        guard let first = faults.first else { return }
        throw Problem(.invalidParameter, "\(first)", errors: faults)
    }

    private static func parse(_ query: ArraySlice<UInt8>) throws(Problem) -> [Item] {
        var items: [Item] = []
        for pair in query.split(separator: UInt8(ascii: "&")) {
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let value = pair[min(pair.endIndex, equals + 1)...]
            guard let name = PercentEncoding.decode(pair[..<equals], plusIsSpace: true),
                let value = PercentEncoding.decode(value, plusIsSpace: true)
            else { throw Problem(.invalidParameter, "the query is not percent-encoded UTF-8, or has U+0000") }
            items.append(Item(name: name, value: value))
            guard items.count <= maximumItems else {
                throw Problem(.invalidParameter, "the query has more than \(maximumItems) parameters")
            }
        }
        return items
    }
}
