public import HTTP

/// Which other origins' pages may read answers (CORS: the WHATWG's Fetch, section 3.2).
///
/// Credentials are never allowed, so that `*` is safe: a key comes in `Authorization`, which a page's script has to
/// know and set itself, and a session's cookie counts for pages of the same origin only. It is the browser that keeps a
/// page from reading: a request of an origin that is not allowed is answered as any other.
public struct CrossOriginPolicy: Sendable, Hashable {
    public enum Origins: Sendable, Hashable {
        case any
        case only(Set<WebOrigin>)
    }

    /// Answers' fields that scripts may read besides those that Fetch lets them read anyway.
    public static let exposed = [
        "ETag", "Idempotent-Replayed", "Location", "Retry-After", "X-Next-Cursor", "X-Request-Id",
    ]
    /// How long a browser may remember what it was told before a request; more than this it does not.
    public static let maximumAge = Duration.seconds(7200)
    /// Octets of the names that a script wants to set.
    public static let requestedLimit = 1024

    private let origins: Origins
    private static let exposedText = exposed.joined(separator: ", ")

    public init(_ origins: Origins) {
        self.origins = origins
    }

    /// Adds to an answer what the browser asks for. An answer to OPTIONS that names the methods answers a preflight.
    func apply(to response: inout Response, for head: HTTPRequestHead) {
        if case .only = origins { response.headers.add("vary", "Origin") }
        guard let allowed = allowedOrigin(head) else { return }
        response.headers.add("access-control-allow-origin", allowed)
        guard head.method == .options, head.contains("access-control-request-method") else {
            response.headers.add("access-control-expose-headers", CrossOriginPolicy.exposedText)
            return
        }
        guard let methods = response.headers["allow"] else { return }
        response.headers.add("access-control-allow-methods", methods)
        response.headers.add("access-control-max-age", String(CrossOriginPolicy.maximumAge.components.seconds))
        response.headers.add("vary", "Access-Control-Request-Headers")
        if let requested = CrossOriginPolicy.requestedHeaders(head) {
            response.headers.add("access-control-allow-headers", requested)
        }
    }

    private func allowedOrigin(_ head: HTTPRequestHead) -> String? {
        guard let octets = head.octets(ofOnly: "origin") else { return nil }
        switch origins {
        case .any: return "*"
        case .only(let known):
            guard let origin = WebOrigin(String(decoding: octets, as: UTF8.self)), known.contains(origin) else {
                return nil
            }
            return origin.text
        }
    }

    /// The names as they were asked for: `*` would leave out `Authorization`. Nil where they are no names.
    private static func requestedHeaders(_ head: HTTPRequestHead) -> String? {
        let names = head.fieldNames(in: "access-control-request-headers")
        guard let names, !names.isEmpty else { return nil }
        let text = names.joined(separator: ", ")
        return text.utf8.count <= requestedLimit ? text : nil
    }
}
