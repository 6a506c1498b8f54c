public import Configuration
import HTTP

extension HTTPLimits {
    /// The limits with what the environment sets of them.
    ///
    /// | variable | default | |
    /// |---|---|---|
    /// | `MILLRACE_HTTP_REQUEST_LINE` | 8000 | octets of a request line; more is 414 |
    /// | `MILLRACE_HTTP_HEADER_BYTES` | `32KiB` | octets of all header lines; more is 431 |
    /// | `MILLRACE_HTTP_HEADER_FIELDS` | 100 | header fields; more is 431 |
    /// | `MILLRACE_HTTP_BODY_BYTES` | `64MiB` | a body, where its route has no limit of its own; more is 413 |
    /// | `MILLRACE_HTTP_CONNECTIONS` | 10000 | connections at a time; more are answered 503 |
    /// | `MILLRACE_HTTP_CONNECTIONS_PER_CLIENT` | 1000 | of one IPv4 address or IPv6 network of 64 bits |
    /// | `MILLRACE_HTTP_PROXIES` | loopback | addresses that many clients' connections come from |
    /// | `MILLRACE_HTTP_REQUESTS_PER_CONNECTION` | 1000000 | before it is closed |
    /// | `MILLRACE_HTTP_HEAD_TIMEOUT` | `10s` | from a head's first octet to its last |
    /// | `MILLRACE_HTTP_BODY_TIMEOUT` | `30s` | without an octet of a body |
    /// | `MILLRACE_HTTP_REQUEST_TIMEOUT` | `6h` | waiting for the octets of one body in all |
    /// | `MILLRACE_HTTP_IDLE_TIMEOUT` | `75s` | between requests |
    /// | `MILLRACE_HTTP_WRITE_TIMEOUT` | `30s` | without an octet of an answer being taken |
    /// | `MILLRACE_HTTP_BODY_RATE` | `1KiB` | a second that a body must come at |
    /// | `MILLRACE_HTTP_WRITE_RATE` | `1KiB` | a second that an answer must be taken at |
    /// | `MILLRACE_HTTP_RATE_GRACE` | `10s` | how long either may be slower |
    public init(from settings: inout Settings) {
        self.init()
        readSizes(&settings)
        readConnections(&settings)
        readTimes(&settings)
    }

    private mutating func readSizes(_ settings: inout Settings) {
        parser.requestLine = settings.integer(
            "MILLRACE_HTTP_REQUEST_LINE", default: parser.requestLine, in: 256...65_536)
        parser.headerOctets = settings.byteCount(
            "MILLRACE_HTTP_HEADER_BYTES", default: parser.headerOctets, in: 1024...(1 << 20))
        parser.headerFields = settings.integer(
            "MILLRACE_HTTP_HEADER_FIELDS", default: parser.headerFields, in: 16...10_000)
        body = settings.byteCount("MILLRACE_HTTP_BODY_BYTES", default: body, in: 1024...(1 << 40))
    }

    private mutating func readConnections(_ settings: inout Settings) {
        connections = settings.integer("MILLRACE_HTTP_CONNECTIONS", default: connections, in: 1...1_000_000)
        connectionsPerClient = settings.integer(
            "MILLRACE_HTTP_CONNECTIONS_PER_CLIENT", default: connectionsPerClient, in: 1...1_000_000)
        requestsPerConnection = settings.integer(
            "MILLRACE_HTTP_REQUESTS_PER_CONNECTION", default: requestsPerConnection, in: 1...Int(Int32.max))
        let given = settings.list("MILLRACE_HTTP_PROXIES", default: proxies.map(\.description))
        proxies = given.compactMap { AddressRange($0) }
        if proxies.count != given.count {
            settings.refuse("MILLRACE_HTTP_PROXIES", "must be addresses or ranges such as 10.0.0.0/8, with commas")
        }
    }

    private mutating func readTimes(_ settings: inout Settings) {
        let range: ClosedRange<Duration> = .milliseconds(100) ... .seconds(86_400)
        headTimeout = settings.duration("MILLRACE_HTTP_HEAD_TIMEOUT", default: headTimeout, in: range)
        bodyTimeout = settings.duration("MILLRACE_HTTP_BODY_TIMEOUT", default: bodyTimeout, in: range)
        requestTimeout = settings.duration("MILLRACE_HTTP_REQUEST_TIMEOUT", default: requestTimeout, in: range)
        idleTimeout = settings.duration("MILLRACE_HTTP_IDLE_TIMEOUT", default: idleTimeout, in: range)
        writeTimeout = settings.duration("MILLRACE_HTTP_WRITE_TIMEOUT", default: writeTimeout, in: range)
        rateGrace = settings.duration("MILLRACE_HTTP_RATE_GRACE", default: rateGrace, in: range)
        bodyRate = settings.byteCount("MILLRACE_HTTP_BODY_RATE", default: bodyRate, in: 1...(1 << 30))
        writeRate = settings.byteCount("MILLRACE_HTTP_WRITE_RATE", default: writeRate, in: 1...(1 << 30))
    }
}
