extension HTTPRequestHead {
    /// A head made in code, as the parser would have read it: for tests and for requests that never were on a wire.
    ///
    /// `Host` is added where it is missing, `Content-Length` where `bodyLength` is given. Throws what the parser says.
    public convenience init(
        _ method: HTTPMethod, _ target: String, headers: HTTPHeaders = HTTPHeaders(), bodyLength: Int? = nil
    ) throws(RequestFault) {
        var bytes = Array("\(method) \(target) HTTP/1.1\r\n".utf8)
        var headers = headers
        if !headers.contains("host") { headers.add("host", "localhost") }
        if let bodyLength { headers["content-length"] = String(bodyLength) }
        headers.encode(into: &bytes)
        bytes.append(contentsOf: [Octets.cr, Octets.lf])
        var reader = HeadReader(limits: RequestParserLimits())
        var position = 0
        guard let head = try reader.read(bytes, &position, bytes.count) else {
            throw RequestFault(.malformed, "the head is not complete")
        }
        self.init(head)
    }
}
