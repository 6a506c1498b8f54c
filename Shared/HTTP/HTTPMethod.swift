/// A request method (RFC 9110, section 9); any other token is kept as it came.
public enum HTTPMethod: Sendable, Hashable, CustomStringConvertible {
    case get, head, post, put, delete, patch, options, trace, connect
    case other(String)

    public init(_ name: String) {
        self = HTTPMethod.known.first { $0.description == name } ?? .other(name)
    }

    public static let known: [HTTPMethod] = [.get, .head, .post, .put, .delete, .patch, .options, .trace, .connect]

    public var description: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .patch: "PATCH"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .connect: "CONNECT"
        case .other(let name): name
        }
    }

    /// Whether the name is one that may stand in a request line.
    public var isToken: Bool { Octets.isToken(description.utf8) }

    /// Reads a token that has been checked already, without a string for the methods that are common.
    init(token: Span<UInt8>) {
        switch (token.count, token[0]) {
        case (3, UInt8(ascii: "G")) where Octets.same(token, "GET"): self = .get
        case (4, UInt8(ascii: "P")) where Octets.same(token, "POST"): self = .post
        case (3, UInt8(ascii: "P")) where Octets.same(token, "PUT"): self = .put
        default: self.init(String(decoding: (0..<token.count).map { token[$0] }, as: UTF8.self))
        }
    }
}
