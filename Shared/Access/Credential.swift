import HTTP

/// What a request is authenticated by: a key that it carries, or the session of a browser that has signed in.
enum Credential {
    case key(KeyHash)
    case session(KeyHash)
    /// A token of an issuer, with its octets.
    case token(KeyHash, [UInt8])

    /// Where there is an `Authorization` field it alone counts: whoever sets it means it.
    init?(_ head: HTTPRequestHead) {
        if let key = BearerToken.key(in: head) {
            self = .key(key.hash)
        } else if !head.contains("authorization"), let token = SessionCookie.token(in: head) {
            self = .session(token.hash)
        } else if let token = BearerToken.token(in: head) {
            self = .token(KeyHash(of: token), token)
        } else {
            return nil
        }
    }

    var hash: KeyHash {
        switch self {
        case .key(let hash), .session(let hash), .token(let hash, _): hash
        }
    }

    /// Throws `cross_site_request` where a browser has added it to another site's request.
    func checkOrigin(_ head: HTTPRequestHead) throws(Problem) {
        if case .session = self { try SameOrigin.check(head) }
    }
}
