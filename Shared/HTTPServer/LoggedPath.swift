public import HTTP

extension HTTPRequestHead {
    /// The path's octets as logs and spans may have them: of a key that somebody put there, `mr_` and 43 characters of
    /// base64url, the first nine, by which keys are told apart.
    public var loggedPathBytes: ArraySlice<UInt8> {
        var path = pathBytes
        let (marker, shown, length) = (Array("mr_".utf8), 9, 46)
        guard path.count >= length else { return path }
        var at = path.startIndex
        while at + length <= path.endIndex {
            let isKey = path[at...].starts(with: marker) && path[at..<at + length].allSatisfy(Base64URL.isDigit)
            if isKey { path.replaceSubrange(at + shown..<at + length, with: "***".utf8) }
            at += 1
        }
        return path
    }

    /// ``path``, likewise.
    public var loggedPath: String {
        pathBytes.isEmpty ? path : String(decoding: loggedPathBytes, as: UTF8.self)
    }
}
