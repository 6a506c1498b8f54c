import EventLoop
import HTTP

/// All that libcurl is told of one request: what is left of the limits, and everything checked.
struct TransferSetup {
    enum Upload: Equatable {
        case none
        case length(Int)
        case chunked
    }

    var url: RequestURL
    var method: HTTPMethod
    var headers: HTTPHeaders
    var upload: Upload
    /// The addresses of the URL's host; none where it is one itself.
    var addresses: [IPAddress]
    var limits: TransferLimits
    /// What is left of `limits.connect` and `limits.whole`.
    var connect: LoopInterval
    var whole: LoopInterval
    var settings: HTTPClientSettings

    init(
        _ request: ClientRequest, to url: RequestURL, at addresses: [IPAddress], settings: HTTPClientSettings,
        connect: LoopInterval, whole: LoopInterval
    ) {
        self.url = url
        self.addresses = addresses
        self.settings = settings
        self.connect = connect
        self.whole = whole
        method = request.method
        headers = request.headers
        limits = request.limits ?? settings.limits
        if !headers.contains("user-agent") { headers.add("user-agent", settings.userAgent) }
        upload =
            switch request.body {
            case .empty: TransferSetup.expectsBody(request.method) ? .length(0) : .none
            case .bytes(let octets): .length(octets.count)
            case .stream(let length?, _): .length(length)
            case .stream(nil, _): .chunked
            }
    }

    /// A request by one of these methods says that its body is empty (RFC 9110, section 8.6).
    private static func expectsBody(_ method: HTTPMethod) -> Bool {
        [.post, .put, .patch].contains(method)
    }

    /// The lines of the head, as libcurl wants them: a semicolon stands for an empty value.
    var fieldLines: [String] {
        headers.fields.map { field in
            let isBlank = field.value.utf8.allSatisfy { $0 == 0x20 || $0 == 0x09 }
            return isBlank ? "\(field.name);" : "\(field.name): \(field.value)"
        }
    }

    /// For CURLOPT_RESOLVE; nil where there is nothing to resolve. The `+` lets the entry grow old like any other.
    var resolution: String? {
        if addresses.isEmpty { return nil }
        let list = addresses.map { $0.family == .v6 ? "[\($0)]" : $0.description }.joined(separator: ",")
        return "+\(url.host):\(url.port):\(list)"
    }

    /// Milliseconds, rounded up so that they are never 0, which would mean no limit; at most 24 days.
    static func milliseconds(_ interval: LoopInterval) -> Int {
        min(max(1, Int(interval.nanoseconds / 1_000_000) + 1), Int(Int32.max))
    }

    static func seconds(_ duration: Duration) -> Int {
        min(max(1, Int(duration.components.seconds)), Int(Int32.max))
    }
}
