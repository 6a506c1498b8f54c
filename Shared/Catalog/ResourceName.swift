public import JSON

/// The name of a source, pipeline, dataset or endpoint: `^[a-z][a-z0-9_]{0,47}$`.
public struct ResourceName: Sendable, Hashable, CustomStringConvertible {
    public let text: String

    /// Nil unless `text` has the form above.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard (1...48).contains(bytes.count), let first = bytes.first, Self.isLower(first) else { return nil }
        guard bytes.allSatisfy({ Self.isLower($0) || Self.isDigit($0) || $0 == UInt8(ascii: "_") }) else { return nil }
        self.text = text
    }

    public var description: String { text }

    private static func isLower(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }
}

extension ResourceName {
    /// The rule as JSON Schema.
    public static let schema: JSONValue = ["type": "string", "pattern": "^[a-z][a-z0-9_]{0,47}$"]
}
