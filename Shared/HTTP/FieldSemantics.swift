/// What the header fields say about framing and the connection, gathered line by line (RFC 9112, sections 6 and 9).
struct FieldSemantics {
    private(set) var framing: HTTPRequestHead.Framing = .none
    private(set) var keepsAlive = true
    private(set) var expectsContinue = false

    private var hosts = 0
    private var length: Int?
    private var sawCoding = false
    private var closes = false
    private var keeps = false
    /// The last of the transfer codings, and whether one before it is unknown here.
    private var endsInChunked = false
    private var hasOtherCoding = false

    /// Takes in one field. Names are told apart by their length first, since most are of no interest here.
    mutating func read(_ bytes: [UInt8], _ field: FieldLine) throws(RequestFault) {
        let name = bytes.span.extracting(field.name)
        switch name.count {
        case 4 where Octets.equal(name, "host"): try host(bytes[field.value])
        case 6 where Octets.equal(name, "expect"): try expect(bytes[field.value])
        case 10 where Octets.equal(name, "connection"): connection(bytes[field.value])
        case 14 where Octets.equal(name, "content-length"): try contentLength(bytes[field.value])
        case 17 where Octets.equal(name, "transfer-encoding"): try transferEncoding(bytes[field.value])
        default: break
        }
    }

    /// Concludes from all fields, once the empty line is there.
    mutating func finish(_ version: HTTPRequestHead.Version) throws(RequestFault) {
        if hosts == 0, version == .http11 { throw RequestFault(.malformed, "Host is missing") }
        if sawCoding {
            if version == .http10 { throw RequestFault(.malformed, "Transfer-Encoding on HTTP/1.0") }
            if length != nil { throw RequestFault(.malformed, "both Content-Length and Transfer-Encoding") }
            if !endsInChunked { throw RequestFault(.malformed, "Transfer-Encoding does not end in chunked") }
            if hasOtherCoding { throw RequestFault(.notImplemented, "unknown transfer coding") }
            framing = .chunked
        } else if let length {
            framing = .length(length)
        }
        keepsAlive = version == .http11 ? !closes : keeps && !closes
        expectsContinue = expectsContinue && version == .http11 && framing != .none && framing != .length(0)
    }

    private mutating func host(_ value: ArraySlice<UInt8>) throws(RequestFault) {
        hosts += 1
        if hosts > 1 { throw RequestFault(.malformed, "Host is repeated") }
        if !Authority.isValid(value) { throw RequestFault(.malformed, "malformed Host") }
    }

    private mutating func expect(_ value: ArraySlice<UInt8>) throws(RequestFault) {
        guard Octets.equal(value, "100-continue") else {
            throw RequestFault(.expectationFailed, "only the expectation 100-continue is known")
        }
        expectsContinue = true
    }

    private mutating func connection(_ value: ArraySlice<UInt8>) {
        for option in Octets.list(value) {
            if Octets.equal(option, "close") { closes = true }
            if Octets.equal(option, "keep-alive") { keeps = true }
        }
    }

    /// One or more equal lengths; the grammar's `1*DIGIT` without leading zeros, which parsers disagree about.
    private mutating func contentLength(_ value: ArraySlice<UInt8>) throws(RequestFault) {
        for member in value.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let digits = Octets.trimmed(member)
            let isPlain = !digits.isEmpty && digits.allSatisfy(Octets.isDigit)
            guard isPlain, digits.count == 1 || digits.first != UInt8(ascii: "0") else {
                throw RequestFault(.malformed, "malformed Content-Length")
            }
            var number = 0
            for digit in digits {
                let (product, overflow) = number.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(Int(digit &- 0x30))
                if overflow || carry { throw RequestFault(.malformed, "Content-Length is out of range") }
                number = sum
            }
            if let length, length != number { throw RequestFault(.malformed, "differing Content-Length") }
            length = number
        }
    }

    private mutating func transferEncoding(_ value: ArraySlice<UInt8>) throws(RequestFault) {
        sawCoding = true
        for coding in Octets.list(value) {
            if endsInChunked { throw RequestFault(.malformed, "a transfer coding after chunked") }
            endsInChunked = Octets.equal(coding, "chunked")
            if !endsInChunked { hasOtherCoding = true }
        }
    }
}
