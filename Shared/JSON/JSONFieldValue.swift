/// A type that `JSONFields` can read from one JSON value.
public protocol JSONFieldValue {
    /// What a value must be, for messages: "a string".
    static var expectation: String { get }
    /// Stands in for a faulty value until `JSONFields.finish()` throws; it never gets further.
    static var placeholder: Self { get }
    /// Nil when the value is not one of these.
    static func read(_ value: JSONValue) -> Self?
}

extension String: JSONFieldValue {
    public static var expectation: String { "a string without U+0000" }
    public static var placeholder: String { "" }
    public static func read(_ value: JSONValue) -> String? {
        guard let text = value.string, !text.utf8.contains(0) else { return nil }
        return text
    }
}

extension Int: JSONFieldValue {
    public static var expectation: String { "an integer" }
    public static var placeholder: Int { 0 }
    public static func read(_ value: JSONValue) -> Int? { value.int }
}

extension Int64: JSONFieldValue {
    public static var expectation: String { "an integer" }
    public static var placeholder: Int64 { 0 }
    public static func read(_ value: JSONValue) -> Int64? { value.int.map(Int64.init) }
}

extension Double: JSONFieldValue {
    public static var expectation: String { "a number" }
    public static var placeholder: Double { 0 }
    public static func read(_ value: JSONValue) -> Double? { value.double }
}

extension Bool: JSONFieldValue {
    public static var expectation: String { "true or false" }
    public static var placeholder: Bool { false }
    public static func read(_ value: JSONValue) -> Bool? { value.bool }
}

extension JSONValue: JSONFieldValue {
    public static var expectation: String { "a value" }
    public static var placeholder: JSONValue { .null }
    public static func read(_ value: JSONValue) -> JSONValue? { value }
}

extension JSONObject: JSONFieldValue {
    public static var expectation: String { "an object" }
    public static var placeholder: JSONObject { JSONObject() }
    public static func read(_ value: JSONValue) -> JSONObject? { value.object }
}

extension Array: JSONFieldValue where Element: JSONFieldValue {
    public static var expectation: String { "an array, each item \(Element.expectation)" }
    public static var placeholder: [Element] { [] }
    public static func read(_ value: JSONValue) -> [Element]? {
        guard let items = value.array else { return nil }
        let read = items.compactMap(Element.read)
        return read.count == items.count ? read : nil
    }
}
