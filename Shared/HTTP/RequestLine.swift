/// A request line (RFC 9112, section 3) as ranges into the bytes it was read from.
struct RequestLine {
    let method: HTTPMethod
    let version: HTTPRequestHead.Version
    let form: HTTPRequestHead.TargetForm
    let target: Range<Int>
    let path: Range<Int>
    let query: Range<Int>

    /// Reads the line that lies in `range`, its CRLF excluded; it can begin one.
    init(_ bytes: [UInt8], _ range: Range<Int>) throws(RequestFault) {
        let span = bytes.span
        var at = range.lowerBound
        while at < range.upperBound, span[at] != Octets.space { at += 1 }
        let first = at
        at += 1
        while at < range.upperBound, span[at] != Octets.space { at += 1 }
        guard first > range.lowerBound, at > first + 1, at < range.upperBound else {
            throw RequestFault(.malformed, "the request line is not method, target and version")
        }
        version = try RequestLine.version(span.extracting((at + 1)..<range.upperBound))
        method = HTTPMethod(token: span.extracting(range.lowerBound..<first))
        target = (first + 1)..<at
        if method == .connect { throw RequestFault(.notImplemented, "CONNECT is not supported") }
        var mark: Int?
        for index in target {
            let octet = span[index]
            if octet <= 0x20 || octet >= 0x7F || octet == UInt8(ascii: "#") {
                throw RequestFault(.malformed, "the target holds a character that must be percent-encoded")
            }
            if mark == nil, octet == UInt8(ascii: "?") { mark = index }
        }
        form = try span[target.lowerBound] == UInt8(ascii: "/") ? .origin : RequestLine.form(bytes[target], method)
        var start = target.lowerBound
        if form == .absolute { start = try RequestLine.endOfAuthority(bytes, target) }
        let end = target.upperBound
        path = start..<(mark ?? end)
        query = min(end, (mark ?? end) + 1)..<end
    }

    /// Whether the beginning of a line can still become a request line: all octets before the first space are a
    /// token's. It lets a TLS or binary client hear 400 without waiting for a line's end.
    static func canBegin(_ bytes: ArraySlice<UInt8>) -> Bool {
        for byte in bytes {
            if byte == Octets.space { return true }
            if !Octets.isToken(byte) { return false }
        }
        return true
    }

    private static func version(_ text: Span<UInt8>) throws(RequestFault) -> HTTPRequestHead.Version {
        guard text.count == 8, text[0] == UInt8(ascii: "H"), text[1] == UInt8(ascii: "T"),
            text[2] == UInt8(ascii: "T"), text[3] == UInt8(ascii: "P"), text[4] == UInt8(ascii: "/"),
            Octets.isDigit(text[5]), text[6] == UInt8(ascii: "."), Octets.isDigit(text[7])
        else { throw RequestFault(.malformed, "malformed HTTP version") }
        guard text[5] == UInt8(ascii: "1") else {
            throw RequestFault(.versionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        return text[7] == UInt8(ascii: "0") ? .http10 : .http11
    }

    /// The form of a target that is no path.
    private static func form(
        _ target: ArraySlice<UInt8>, _ method: HTTPMethod
    ) throws(RequestFault) -> HTTPRequestHead.TargetForm {
        if target.elementsEqual("*".utf8), method == .options { return .asterisk }
        let scheme = target.prefix(8).map(Octets.lowercased)
        if scheme.starts(with: "http://".utf8) || scheme.starts(with: "https://".utf8) { return .absolute }
        throw RequestFault(.malformed, "the target is neither a path nor an http URI")
    }

    private static func endOfAuthority(_ bytes: [UInt8], _ target: Range<Int>) throws(RequestFault) -> Int {
        let colon = bytes[target].firstIndex(of: Octets.colon) ?? target.lowerBound
        let start = colon + 3
        let end = bytes[start..<target.upperBound].firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") }
        let authority = bytes[start..<(end ?? target.upperBound)]
        guard !authority.isEmpty, Authority.isValid(authority) else {
            throw RequestFault(.malformed, "malformed authority in the target")
        }
        return end ?? target.upperBound
    }
}
