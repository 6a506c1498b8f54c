import HTTP

/// What libFuzzer calls with each input: a stream of octets, which is parsed whole and in pieces, under the default
/// limits and under narrow ones. Whatever traps is a finding.
///
/// The harness of the parser's tests, compiled in beside this file, holds the parser to what it promises of positions
/// and ranges.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzRequestParser(_ data: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let octets = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    var random = SplitMix64(state: octets.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
    check(octets, RequestParserLimits(), &random)
    check(octets, narrow, &random)
    return 0
}

private let narrow: RequestParserLimits = {
    var limits = RequestParserLimits()
    limits.requestLine = 40
    limits.headerOctets = 80
    limits.headerFields = 4
    limits.trailerOctets = 32
    limits.chunkExtensions = 8
    limits.leadingEmptyLines = 1
    return limits
}()

private func check(_ octets: [UInt8], _ limits: RequestParserLimits, _ random: inout SplitMix64) {
    let whole = ParsedStream(octets, limits: limits)
    hold(whole, to: limits)
    if octets.count <= 48 {
        for cut in octets.indices { expectSame([octets[..<cut], octets[cut...]], whole, limits) }
    } else {
        for _ in 0..<4 {
            let cut = random.below(octets.count)
            expectSame([octets[..<cut], octets[cut...]], whole, limits)
        }
    }
    expectSame(random.pieces(of: octets), whole, limits)
    if octets.count <= 1_000 { expectSame(octets.indices.map { octets[$0...$0] }, whole, limits) }
}

private func expectSame(_ pieces: [ArraySlice<UInt8>], _ whole: ParsedStream, _ limits: RequestParserLimits) {
    let parsed = ParsedStream(pieces, limits: limits)
    precondition(parsed == whole, "split as \(pieces.map(\.count)): \(parsed) instead of \(whole)")
}

private func hold(_ stream: ParsedStream, to limits: RequestParserLimits) {
    for request in stream.requests {
        precondition(request.line.utf8.count + " HTTP/1.1".utf8.count <= limits.requestLine, "the request line")
        precondition(request.headers.count <= limits.headerFields, "the number of fields")
        precondition(size(request.headers) <= limits.headerOctets, "the header octets")
        precondition(size(request.trailers) <= limits.trailerOctets, "the trailer octets")
        switch request.framing {
        case .none: precondition(request.body.isEmpty, "a body out of nowhere")
        case .length(let length):
            precondition(request.isComplete ? request.body.count == length : request.body.count < length, "the length")
        case .chunked: break
        }
    }
    // Only the last request may be open; then nothing lies between requests.
    precondition(stream.requests.dropLast().allSatisfy { $0.isComplete }, "a request began inside another")
    precondition(!stream.endsBetweenRequests || stream.requests.last?.isComplete != false, "a request left open")
}

/// At most as many octets as came for the fields. Invalid UTF-8 is replaced by more octets than it had, so such values
/// are left out.
private func size(_ fields: HTTPHeaders) -> Int {
    fields.fields.filter { !$0.value.contains("\u{FFFD}") }.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
}
