import Buffers

/// Gathers the lines of a head, or of a trailer section, and reads each as soon as its end is there.
struct HeadReader: Sendable {
    private let limits: RequestParserLimits
    private let forTrailers: Bool
    private var bytes: [UInt8] = []
    /// Where the line that is being gathered begins, and how far it has been searched for its end.
    private var lineStart = 0
    private var scanned = 0
    private var emptyLines = 0
    private var line: RequestLine?
    private var fieldsStart = 0
    private var fields: [HTTPRequestHead.Field] = []
    private var semantics = FieldSemantics()

    /// How much is copied at a time: most heads are shorter, and little of a body is copied in vain.
    private static let step = 1024

    init(limits: RequestParserLimits, forTrailers: Bool = false) {
        self.limits = limits
        self.forTrailers = forTrailers
    }

    /// Whether nothing has come but empty lines.
    var isUntouched: Bool { line == nil && bytes.count == lineStart }

    /// The head, once its last line is there; nil when all input is taken.
    mutating func read(
        _ buffer: [UInt8], _ position: inout Int, _ end: Int
    ) throws(RequestFault) -> HTTPRequestHead.Parts? {
        guard try gather(buffer, &position, end), let line else { return nil }
        try semantics.finish(line.version)
        defer { self = HeadReader(limits: limits) }
        return HTTPRequestHead.Parts(bytes: bytes, line: line, fields: fields, semantics: semantics)
    }

    /// Fields that must not come after the body (RFC 9110, section 6.5.1): framing, routing, authentication, content.
    private static let forbiddenTrailers: Set<String> = [
        "authorization", "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie",
        "expect", "host", "te", "trailer", "transfer-encoding", "upgrade",
    ]

    /// The trailer fields, once the empty line after them is there; those that must not be trailers are dropped.
    mutating func readTrailers(
        _ buffer: [UInt8], _ position: inout Int, _ end: Int
    ) throws(RequestFault) -> HTTPHeaders? {
        guard try gather(buffer, &position, end) else { return nil }
        var headers = HTTPHeaders()
        for field in fields {
            let name = String(decoding: bytes[Int(field.name.lowerBound)..<Int(field.name.upperBound)], as: UTF8.self)
            let value = bytes[Int(field.value.lowerBound)..<Int(field.value.upperBound)]
            if HeadReader.forbiddenTrailers.contains(name.lowercased()) { continue }
            headers.add(name, String(decoding: value, as: UTF8.self))
        }
        return headers
    }

    /// Copies and reads lines until the empty one; false when all input is taken before that.
    private mutating func gather(
        _ buffer: [UInt8], _ position: inout Int, _ end: Int
    ) throws(RequestFault) -> Bool {
        while position < end {
            let taken = min(end - position, HeadReader.step)
            if bytes.isEmpty { bytes.reserveCapacity(taken) }
            bytes.append(contentsOf: buffer[position..<(position + taken)])
            position += taken
            while let lineEnd = nextLineFeed() {
                scanned = lineEnd + 1
                guard try readLine(to: lineEnd) else { continue }
                let excess = bytes.count - scanned
                bytes.removeLast(excess)
                position -= excess
                return true
            }
            scanned = bytes.count
            try checkUnfinishedLine()
        }
        return false
    }

    private func nextLineFeed() -> Int? { bytes.span.firstIndex(of: Octets.lf, from: scanned) }

    /// Reads the line whose LF is at `end`; true when it was the last.
    private mutating func readLine(to end: Int) throws(RequestFault) -> Bool {
        let isRequestLine = line == nil && !forTrailers
        if isRequestLine { try checkBeginning(end) }
        try checkSize(end, isRequestLine)
        guard end > lineStart, bytes[end - 1] == Octets.cr else {
            throw RequestFault(.malformed, "a line ends in LF without CR")
        }
        let range = lineStart..<(end - 1)
        lineStart = end + 1
        if isRequestLine {
            try readRequestLine(range)
            return false
        }
        if range.isEmpty { return true }
        guard fields.count < limits.headerFields else {
            throw RequestFault(.headersTooLarge, "more than \(limits.headerFields) header fields")
        }
        let field = try FieldLine(bytes, range)
        if fields.isEmpty { fields.reserveCapacity(16) }
        fields.append(HTTPRequestHead.Field(name: field.name.narrowed, value: field.value.narrowed))
        if !forTrailers { try semantics.read(bytes, field) }
        return false
    }

    private mutating func readRequestLine(_ range: Range<Int>) throws(RequestFault) {
        guard range.isEmpty else {
            line = try RequestLine(bytes, range)
            fieldsStart = lineStart
            return
        }
        emptyLines += 1
        guard emptyLines <= limits.leadingEmptyLines else {
            throw RequestFault(.malformed, "empty lines in place of a request")
        }
    }

    /// What can be said of a line before its end is there, and only what would be said of the whole line too.
    private func checkUnfinishedLine() throws(RequestFault) {
        let isRequestLine = line == nil && !forTrailers
        if isRequestLine { try checkBeginning(bytes.count) }
        // The octet that may still come is a LF at the least, and the last one here may be its CR.
        try checkSize(bytes.count, isRequestLine)
    }

    /// Checks what is there of a request line, up to `end`; a CR may be the one that ends it. Octets past the one that
    /// makes the line too long are not looked at, for they may not have come yet.
    private func checkBeginning(_ end: Int) throws(RequestFault) {
        let end = min(end, lineStart + limits.requestLine + 2)
        let known = end > lineStart && bytes[end - 1] == Octets.cr ? end - 1 : end
        guard RequestLine.canBegin(bytes[lineStart..<known]) else {
            throw RequestFault(.malformed, "this is no HTTP request")
        }
    }

    /// Checks the limits for a line whose LF is at `end`, or at the earliest there.
    private func checkSize(_ end: Int, _ isRequestLine: Bool) throws(RequestFault) {
        if isRequestLine {
            guard end - 1 - lineStart <= limits.requestLine else {
                throw RequestFault(.targetTooLong, "the request line is longer than \(limits.requestLine) octets")
            }
            return
        }
        let limit = forTrailers ? limits.trailerOctets : limits.headerOctets
        guard end + 1 - fieldsStart <= limit else {
            throw RequestFault(.headersTooLarge, "the header fields are larger than \(limit) octets")
        }
    }
}

extension Range<Int> {
    fileprivate var narrowed: Range<Int32> { Int32(lowerBound)..<Int32(upperBound) }
}
