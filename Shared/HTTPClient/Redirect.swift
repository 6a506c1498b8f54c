import HTTP

/// What a redirect asks for (RFC 9110, section 15.4), and what of the request goes along.
enum Redirect {
    /// Fields that say nothing about who asks; only these leave the origin they were made for.
    private static let innocent: Set<String> = [
        "accept", "accept-encoding", "accept-language", "cache-control", "content-encoding", "content-language",
        "content-type", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "pragma",
        "range", "traceparent", "user-agent",
    ]

    /// The next request and its URL; nil if the answer is no redirect. `followed`: how many were followed before.
    /// Errors: `.redirectRefused`, and `.invalidURL` for where it leads to.
    static func next(
        after request: ClientRequest, to url: RequestURL, _ head: (status: HTTPStatus, headers: HTTPHeaders),
        followed: Int
    ) throws(HTTPClientError) -> (request: ClientRequest, url: RequestURL)? {
        guard case .follow(let most) = request.redirects else { return nil }
        guard [301, 302, 303, 307, 308].contains(head.status.code), let location = head.headers["location"] else {
            return nil
        }
        guard followed < most else { throw HTTPClientError(.redirectRefused, "more than \(most) redirects") }
        let target = try url.resolving(location)
        guard target.scheme == "https" || url.scheme == "http" else {
            throw HTTPClientError(.redirectRefused, "a redirect from https to http")
        }
        var next = request
        next.url = target.text
        if becomesGet(head.status, request.method) {
            next.method = .get
            dropBody(&next)
        } else if case .stream = request.body {
            throw HTTPClientError(.redirectRefused, "a redirect that asks for a body that was sent already")
        }
        if target.origin != url.origin { dropCredentials(&next) }
        return (next, target)
    }

    /// 303 for all but HEAD; 301 and 302 for POST, as everybody does (RFC 9110, section 15.4.2, note).
    private static func becomesGet(_ status: HTTPStatus, _ method: HTTPMethod) -> Bool {
        switch status.code {
        case 303: method != .head
        case 301, 302: method == .post
        default: false
        }
    }

    private static func dropBody(_ request: inout ClientRequest) {
        request.body = .empty
        for field in request.headers.fields where field.name.lowercased().hasPrefix("content-") {
            request.headers.remove(field.name)
        }
    }

    private static func dropCredentials(_ request: inout ClientRequest) {
        for field in request.headers.fields where !innocent.contains(field.name.lowercased()) {
            request.headers.remove(field.name)
        }
    }
}
