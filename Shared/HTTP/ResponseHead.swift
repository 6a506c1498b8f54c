/// The head of an answer as it goes over the wire (RFC 9112, section 4).
public enum ResponseHead {
    /// Appends the status line and the fields. The caller adds further lines and the empty one that ends the head.
    public static func encode(_ status: HTTPStatus, _ headers: HTTPHeaders, into output: inout [UInt8]) {
        output.append(contentsOf: "HTTP/1.1 ".utf8)
        let code = status.code
        output.append(UInt8(0x30 + code / 100))
        output.append(UInt8(0x30 + code / 10 % 10))
        output.append(UInt8(0x30 + code % 10))
        output.append(Octets.space)
        output.append(contentsOf: status.reason.utf8)
        output.append(Octets.cr)
        output.append(Octets.lf)
        headers.encode(into: &output)
    }
}
