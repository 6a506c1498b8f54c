/// Header fields in order, looked up without regard to case: those of answers, trailers and requests made in code.
///
/// A received request keeps its fields as bytes instead (`HTTPRequestHead`).
public struct HTTPHeaders: Sendable, Hashable {
    /// One field line.
    public struct Field: Sendable, Hashable {
        public let name: String
        public let value: String

        /// The octets as they are: what came from elsewhere may be not well-formed.
        public init(name: String, value: String) {
            self.name = name
            self.value = value
        }

        /// Whether the name is a token and the value has no control characters (RFC 9110, section 5).
        public var isWellFormed: Bool { Octets.isToken(name.utf8) && value.utf8.allSatisfy(Octets.isFieldValue) }
    }

    public private(set) var fields: [Field] = []

    public init() {}

    public var isEmpty: Bool { fields.isEmpty }
    public var count: Int { fields.count }

    /// The first value of the name; setting one replaces all, setting nil removes them.
    public subscript(name: String) -> String? {
        get { fields.first { HTTPHeaders.same($0.name, name) }?.value }
        set {
            remove(name)
            if let newValue { add(name, newValue) }
        }
    }

    public func values(_ name: String) -> [String] {
        fields.filter { HTTPHeaders.same($0.name, name) }.map(\.value)
    }

    public func contains(_ name: String) -> Bool {
        fields.contains { HTTPHeaders.same($0.name, name) }
    }

    /// Adds a line. Bytes that would end it (CR, LF, NUL) become spaces, so that no value can add lines of its own.
    public mutating func add(_ name: String, _ value: String) {
        fields.append(Field(name: HTTPHeaders.clean(name), value: HTTPHeaders.clean(value)))
    }

    public mutating func remove(_ name: String) {
        fields.removeAll { HTTPHeaders.same($0.name, name) }
    }

    /// Appends the lines as they go over the wire, without the empty line that ends them.
    public func encode(into output: inout [UInt8]) {
        for field in fields {
            output.append(contentsOf: field.name.utf8)
            output.append(UInt8(ascii: ":"))
            output.append(UInt8(ascii: " "))
            output.append(contentsOf: field.value.utf8)
            output.append(0x0D)
            output.append(0x0A)
        }
    }

    private static func same(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy { Octets.lowercased($0) == Octets.lowercased($1) }
    }

    private static func clean(_ text: String) -> String {
        guard Octets.hasLineEnd(text) else { return text }
        return String(decoding: text.utf8.map { $0 == 0x0D || $0 == 0x0A || $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
    }
}

extension HTTPHeaders: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, String)...) {
        for (name, value) in elements { add(name, value) }
    }
}
