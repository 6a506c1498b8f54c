/// A request's line and header fields, kept as the bytes that came: strings are made when they are asked for.
///
/// It owns one buffer and one list of ranges into it, whatever the number of fields, and is shared, never copied.
public final class HTTPRequestHead: Sendable {
    /// HTTP/1.0 or 1.1; a later 1.x is treated as 1.1.
    public enum Version: Sendable { case http10, http11 }

    /// How the body is delimited (RFC 9112, section 6).
    public enum Framing: Sendable, Hashable {
        case none
        case length(Int)
        case chunked
    }

    /// The form of the request's target (RFC 9112, section 3.2).
    public enum TargetForm: Sendable { case origin, absolute, asterisk }

    struct Field: Sendable {
        let name: Range<Int32>
        let value: Range<Int32>
    }

    public let method: HTTPMethod
    public let version: Version
    public let targetForm: TargetForm
    /// `.none` also for `Content-Length: 0`'s absence; an explicit zero is `.length(0)`.
    public let framing: Framing
    /// Whether the connection may carry another request after this one.
    public let keepsAlive: Bool
    /// Whether the client waits for `100 Continue` before its body; never on HTTP/1.0.
    public let expectsContinue: Bool
    let bytes: [UInt8]
    let target: Range<Int>
    let pathRange: Range<Int>
    /// Without the question mark; empty both for none and for an empty one.
    let queryRange: Range<Int>
    let fields: [Field]

    /// What a reader has gathered of a head.
    struct Parts {
        let bytes: [UInt8]
        let line: RequestLine
        let fields: [Field]
        let semantics: FieldSemantics
    }

    init(_ parts: Parts) {
        let line = parts.line
        let semantics = parts.semantics
        bytes = parts.bytes
        fields = parts.fields
        method = line.method
        version = line.version
        targetForm = line.form
        target = line.target
        pathRange = line.path
        queryRange = line.query
        framing = semantics.framing
        keepsAlive = semantics.keepsAlive
        expectsContinue = semantics.expectsContinue
    }

    /// The request's target as it came.
    public var targetText: String { String(decoding: bytes[target], as: UTF8.self) }

    /// The path as it came, still percent-encoded; `/` for an absolute target without one, `*` for `OPTIONS *`.
    public var path: String { pathRange.isEmpty ? "/" : String(decoding: bytes[pathRange], as: UTF8.self) }

    /// The path's octets, still percent-encoded; empty for an absolute target without a path.
    public var pathBytes: ArraySlice<UInt8> { bytes[pathRange] }

    /// The query as it came, without the question mark.
    public var query: String { String(decoding: bytes[queryRange], as: UTF8.self) }

    /// The query's octets, still percent-encoded.
    public var queryBytes: ArraySlice<UInt8> { bytes[queryRange] }

    public var contentLength: Int? {
        if case .length(let length) = framing { length } else { nil }
    }

    public var hasBody: Bool { framing != .none && framing != .length(0) }
}

// MARK: - Header fields

extension HTTPRequestHead {
    /// The first value of a field; invalid UTF-8 in it is replaced.
    public subscript(name: String) -> String? {
        octets(of: name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// All values of a field, in order.
    public func values(_ name: String) -> [String] {
        fields.filter { matches($0.name, name) }.map { String(decoding: self[$0.value], as: UTF8.self) }
    }

    /// The first value's octets. The name is given in lower case.
    public func octets(of name: String) -> ArraySlice<UInt8>? {
        for field in fields where matches(field.name, name) { return self[field.value] }
        return nil
    }

    /// The only value's octets; nil also where the field is repeated. The name is given in lower case.
    public func octets(ofOnly name: String) -> ArraySlice<UInt8>? {
        var found: ArraySlice<UInt8>?
        for field in fields where matches(field.name, name) {
            if found != nil { return nil }
            found = self[field.value]
        }
        return found
    }

    public func contains(_ name: String) -> Bool { octets(of: name) != nil }

    /// Whether a comma-separated field has a member, without regard to case: `has("connection", token: "upgrade")`.
    public func has(_ name: String, token: String) -> Bool {
        fields.contains { field in
            matches(field.name, name) && Octets.list(self[field.value]).contains { Octets.equal($0, token) }
        }
    }

    /// The members of a field that lists field names or other tokens; nil where one is no token. The name is given in
    /// lower case.
    public func fieldNames(in name: String) -> [String]? {
        var names: [String] = []
        for field in fields where matches(field.name, name) {
            for member in Octets.list(self[field.value]) {
                guard Octets.isToken(member) else { return nil }
                names.append(String(decoding: member, as: UTF8.self))
            }
        }
        return names
    }

    /// All fields as strings.
    public var headers: HTTPHeaders {
        var headers = HTTPHeaders()
        for field in fields {
            headers.add(
                String(decoding: self[field.name], as: UTF8.self), String(decoding: self[field.value], as: UTF8.self))
        }
        return headers
    }

    private subscript(range: Range<Int32>) -> ArraySlice<UInt8> {
        bytes[Int(range.lowerBound)..<Int(range.upperBound)]
    }

    /// Field names are compared as ASCII without case; `name` is in lower case.
    private func matches(_ range: Range<Int32>, _ name: String) -> Bool {
        range.count == name.utf8.count && Octets.equal(self[range], name)
    }
}
