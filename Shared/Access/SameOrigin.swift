public import HTTP

/// Holds requests that a browser authenticates by itself to pages of the platform's own origin.
///
/// `SameSite=Strict` keeps the cookie from other sites' requests, though not from those of another host of the same
/// site. So what the browser says of the page is read besides: `Sec-Fetch-Site` (W3C, Fetch Metadata), which it sends
/// to trustworthy origins only, and `Origin` (RFC 6454), which it sends with everything but simple reading. The
/// origin's scheme is not compared, for behind a proxy nobody knows one's own; a cookie that came by TLS is `Secure`.
public enum SameOrigin {
    /// Throws `cross_site_request` unless the request comes from a page of the host that it is sent to. What changes
    /// something, a WebSocket among it, must say so; what only reads may say nothing, as a typed address does.
    public static func check(_ head: HTTPRequestHead) throws(Problem) {
        let isReading = (head.method == .get || head.method == .head) && !head.contains("upgrade")
        var isKnown = isReading
        if head.contains("sec-fetch-site") {
            let site = head.octets(ofOnly: "sec-fetch-site") ?? []
            guard site.elementsEqual("same-origin".utf8) || (isReading && site.elementsEqual("none".utf8)) else {
                throw refusal("Sec-Fetch-Site is not same-origin")
            }
            isKnown = true
        }
        if head.contains("origin") {
            guard isOwn(head.octets(ofOnly: "origin") ?? [], head.octets(ofOnly: "host") ?? []) else {
                throw refusal("Origin is not this host")
            }
            isKnown = true
        }
        if !isKnown { throw refusal("neither Origin nor Sec-Fetch-Site says where it comes from; or send a key") }
    }

    private static func isOwn(_ origin: ArraySlice<UInt8>, _ host: ArraySlice<UInt8>) -> Bool {
        guard let origin = WebOrigin(String(decoding: origin, as: UTF8.self)) else { return false }
        let host = String(decoding: host, as: UTF8.self).lowercased()
        return !host.isEmpty && ["http://", "https://"].contains { origin.text == $0 + host }
    }

    private static func refusal(_ reason: String) -> Problem { Problem(.crossSiteRequest, reason) }
}
