public import JSON

/// An error answer as RFC 9457 has it: thrown anywhere below a route, it becomes `application/problem+json`.
public struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
    public static let contentType = "application/problem+json"

    public let code: ProblemCode
    /// What is wrong in this occurrence; for people.
    public let detail: String
    /// The single faults, where there are several or where a path says more.
    public let errors: [FieldFault]
    /// When to try again: sent as `Retry-After` in whole seconds, at least one.
    public let retryAfter: Duration?
    /// Further members of the document, such as `sqlstate` and `position`.
    public let extensions: JSONObject
    /// Further header fields of the answer, such as `Allow`.
    public var headers = HTTPHeaders()

    public init(
        _ code: ProblemCode, _ detail: String, errors: [FieldFault] = [], retryAfter: Duration? = nil,
        extensions: [(String, JSONValue)] = []
    ) {
        self.code = code
        self.detail = detail
        self.errors = errors
        self.retryAfter = retryAfter
        self.extensions = JSONObject(extensions)
    }

    public var status: HTTPStatus { code.status }

    public var description: String { "\(code.name): \(detail)" }

    /// The document's bytes.
    public func body() -> [UInt8] {
        var writer = JSONWriter(reserving: 256)
        writer.object { writer in
            writer.member("type", "urn:millrace:problem:\(code.name)")
            writer.member("title", code.title)
            writer.member("status", status.code)
            writer.member("detail", detail)
            writer.member("code", code.name)
            if !errors.isEmpty { writeErrors(&writer) }
            for member in extensions.members { writer.member(member.key, member.value) }
        }
        return writer.bytes
    }

    /// The answer's header fields but for those of its length.
    public var responseHeaders: HTTPHeaders {
        var headers = headers
        headers["content-type"] = Problem.contentType
        if let retryAfter {
            headers["retry-after"] = String(max(1, retryAfter.components.seconds + (retryAfter.hasFraction ? 1 : 0)))
        }
        if code == .unauthorized, headers["www-authenticate"] == nil { headers["www-authenticate"] = "Bearer" }
        return headers
    }

    private func writeErrors(_ writer: inout JSONWriter) {
        writer.key("errors")
        writer.array { writer in
            for fault in errors {
                writer.object { writer in
                    writer.member("path", fault.path)
                    writer.member("message", fault.message)
                }
            }
        }
    }
}

extension Problem {
    /// What a strict reader found: `unknown_field` when that is all, `invalid_request` otherwise.
    public init(_ faults: FieldFaults) {
        let isUnknown = faults.faults.allSatisfy { $0.message == "unknown field" }
        let first = faults.faults.first.map(\.description) ?? "not valid"
        let more = faults.faults.count > 1 ? " (and \(faults.faults.count - 1) more)" : ""
        self.init(isUnknown ? .unknownField : .invalidRequest, first + more, errors: faults.faults)
    }

    public init(_ error: JSONError) {
        self.init(
            .invalidJSON, error.description,
            extensions: [("line", .number(error.line)), ("column", .number(error.column))])
    }
}

extension Duration {
    fileprivate var hasFraction: Bool { components.attoseconds > 0 }
}
