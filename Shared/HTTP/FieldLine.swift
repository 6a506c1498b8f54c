/// One header or trailer line (RFC 9112, section 5) as ranges into the bytes it was read from.
struct FieldLine {
    let name: Range<Int>
    let value: Range<Int>

    /// Reads the line that lies in `range`, its CRLF excluded; the line is not empty.
    init(_ bytes: [UInt8], _ range: Range<Int>) throws(RequestFault) {
        let span = bytes.span
        var at = range.lowerBound
        if span[at] == Octets.space || span[at] == Octets.tab {
            throw RequestFault(.malformed, "a header line begins with white space")
        }
        while at < range.upperBound, Octets.isToken(span[at]) { at += 1 }
        guard at > range.lowerBound, at < range.upperBound, span[at] == Octets.colon else {
            throw RequestFault(.malformed, "malformed header name")
        }
        name = range.lowerBound..<at
        var start = at + 1
        var end = range.upperBound
        for index in start..<end where !Octets.isFieldValue(span[index]) {
            throw RequestFault(.malformed, "a control character in a header's value")
        }
        while start < end, span[start] == Octets.space || span[start] == Octets.tab { start += 1 }
        while end > start, span[end - 1] == Octets.space || span[end - 1] == Octets.tab { end -= 1 }
        value = start..<end
    }
}
