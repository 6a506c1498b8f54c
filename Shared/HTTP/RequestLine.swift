/// A request line (RFC 9112, section 3) as ranges into the bytes it was read from.
struct RequestLine {
    let method: HTTPMethod
    let version: HTTPRequestHead.Version
    let form: HTTPRequestHead.TargetForm
    let target: Range<Int>
    let path: Range<Int>
    let query: Range<Int>

    /// Reads the line that lies in `range`, its CRLF excluded.
    init(_ bytes: [UInt8], _ range: Range<Int>) throws(RequestFault) {
        let space = Octets.space
        guard let first = bytes[range].firstIndex(of: space), first > range.lowerBound,
            let second = bytes[(first + 1)..<range.upperBound].firstIndex(of: space), second > first + 1
        else { throw RequestFault(.malformed, "the request line is not method, target and version") }
        version = try RequestLine.version(bytes[(second + 1)..<range.upperBound])
        method = HTTPMethod(token: bytes[range.lowerBound..<first])
        target = (first + 1)..<second
        if method == .connect { throw RequestFault(.notImplemented, "CONNECT is not supported") }
        for byte in bytes[target] where byte <= 0x20 || byte >= 0x7F || byte == UInt8(ascii: "#") {
            throw RequestFault(.malformed, "the target holds a character that must be percent-encoded")
        }
        form = try RequestLine.form(bytes[target], method)
        var start = target.lowerBound
        if form == .absolute { start = try RequestLine.endOfAuthority(bytes, target) }
        let mark = bytes[start..<target.upperBound].firstIndex(of: UInt8(ascii: "?"))
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

    private static func version(_ text: ArraySlice<UInt8>) throws(RequestFault) -> HTTPRequestHead.Version {
        let at = text.startIndex
        guard text.count == 8, text.starts(with: "HTTP/".utf8), Octets.isDigit(text[at + 5]),
            text[at + 6] == UInt8(ascii: "."), Octets.isDigit(text[at + 7])
        else { throw RequestFault(.malformed, "malformed HTTP version") }
        guard text[at + 5] == UInt8(ascii: "1") else {
            throw RequestFault(.versionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        return text[at + 7] == UInt8(ascii: "0") ? .http10 : .http11
    }

    private static func form(
        _ target: ArraySlice<UInt8>, _ method: HTTPMethod
    ) throws(RequestFault) -> HTTPRequestHead.TargetForm {
        if target.first == UInt8(ascii: "/") { return .origin }
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
