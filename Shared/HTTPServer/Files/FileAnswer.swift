import HTTP

/// The answer to a request for a file that is there.
struct FileAnswer {
    private let head: HTTPRequestHead
    private let file: OpenFile
    private let content: [UInt8]?
    private let files: StaticFiles
    private let type: String
    private let conditions: Preconditions
    private let validators: Validators

    private var length: Int { file.state.size }

    init(_ head: HTTPRequestHead, _ path: FilePath, _ file: OpenFile, _ content: [UInt8]?, _ files: StaticFiles) {
        let now = files.clock()
        self.head = head
        self.file = file
        self.content = content
        self.files = files
        type = FileType.of(path)
        conditions = Preconditions(head, now: now)
        validators = file.state.validators(now: now)
    }

    func response() throws(Problem) -> Response {
        switch conditions.evaluate(validators) {
        case .failed(let field): throw Problem(.preconditionFailed, "\(field) does not hold for the file as it is")
        case .notModified: return unchanged
        case .hold: break
        }
        // Ranges are defined for GET alone (section 14.2).
        guard head.method == .get, let ranges = ByteRangeSet(head), conditions.allowRange(validators) else {
            return whole
        }
        switch ranges.select(from: length) {
        case .whole: return whole
        case .parts(let parts): return partial(parts)
        case .unsatisfiable:
            var problem = Problem(.rangeNotSatisfiable, "the file has \(length) octets")
            problem.headers["content-range"] = ContentRange.unsatisfied(length: length)
            throw problem
        }
    }

    /// 304 has the fields that a cache needs to find what it has and to keep it on (section 15.4.5).
    private var unchanged: Response {
        var response = Response(.notModified, headers: cachingHeaders)
        if validators.tag == nil { response.headers["last-modified"] = lastModified }
        return response
    }

    private var whole: Response {
        var response = Response(.ok, headers: headers(type))
        response.headers.add("accept-ranges", "bytes")
        body([.range(0..<length)]).attach(to: &response)
        return response
    }

    private func partial(_ ranges: [Range<Int>]) -> Response {
        guard ranges.count > 1 else {
            var response = Response(.partialContent, headers: headers(type))
            response.headers.add("content-range", ContentRange.text(ranges[0], of: length))
            body([.range(ranges[0])]).attach(to: &response)
            return response
        }
        var generator = SystemRandomNumberGenerator()
        let boundary = MultipartByteRanges.boundary(&generator)
        let multipart = MultipartByteRanges(ranges, of: length, type: type, boundary: boundary)
        var response = Response(.partialContent, headers: headers(multipart.contentType))
        let parts = ranges.flatMap { [FileBody.Part.octets(multipart.heading(of: $0)), .range($0)] }
        body(parts + [.octets(multipart.closing)]).attach(to: &response)
        return response
    }

    private func body(_ parts: [FileBody.Part]) -> FileBody {
        FileBody(file: file, content: content, parts: parts, reads: files.reads)
    }

    private func headers(_ contentType: String) -> HTTPHeaders {
        var headers = cachingHeaders
        headers.add("content-type", contentType)
        headers.add("x-content-type-options", "nosniff")
        headers["last-modified"] = lastModified
        return headers
    }

    private var lastModified: String? { validators.lastModified.map(HTTPDate.format) }

    /// Every answer of the file varies as its whole does, which is compressed where its type is (section 12.5.5).
    private var cachingHeaders: HTTPHeaders {
        var headers = files.fields
        headers.add("cache-control", files.caching.text)
        headers["etag"] = validators.tag?.text
        if MediaType(type)?.isCompressible ?? false { headers.add("vary", "Accept-Encoding") }
        return headers
    }
}
