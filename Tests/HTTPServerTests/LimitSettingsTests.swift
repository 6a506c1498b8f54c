import Configuration
import HTTP
import HTTPServer
import Testing

@Suite struct LimitSettingsTests {
    @Test func everyLimitCanBeSet() throws {
        var settings = Settings(
            Environment([
                "MILLRACE_HTTP_REQUEST_LINE": "9000", "MILLRACE_HTTP_HEADER_BYTES": "16KiB",
                "MILLRACE_HTTP_HEADER_FIELDS": "50", "MILLRACE_HTTP_BODY_BYTES": "1MiB",
                "MILLRACE_HTTP_CONNECTIONS": "20", "MILLRACE_HTTP_CONNECTIONS_PER_CLIENT": "3",
                "MILLRACE_HTTP_PROXIES": "10.0.0.0/8, 192.0.2.1", "MILLRACE_HTTP_REQUESTS_PER_CONNECTION": "7",
                "MILLRACE_HTTP_HEAD_TIMEOUT": "1s", "MILLRACE_HTTP_BODY_TIMEOUT": "2s",
                "MILLRACE_HTTP_REQUEST_TIMEOUT": "3s", "MILLRACE_HTTP_IDLE_TIMEOUT": "4s",
                "MILLRACE_HTTP_WRITE_TIMEOUT": "5s", "MILLRACE_HTTP_BODY_RATE": "6", "MILLRACE_HTTP_WRITE_RATE": "7",
                "MILLRACE_HTTP_RATE_GRACE": "8s",
            ]))
        let limits = HTTPLimits(from: &settings)
        try settings.finish()
        #expect(limits.parser.requestLine == 9000 && limits.parser.headerOctets == 16 << 10)
        #expect(limits.parser.headerFields == 50 && limits.body == 1 << 20)
        #expect(limits.connections == 20 && limits.connectionsPerClient == 3 && limits.requestsPerConnection == 7)
        #expect(limits.proxies.map(\.description) == ["10.0.0.0/8", "192.0.2.1/32"])
        #expect(limits.headTimeout == .seconds(1) && limits.bodyTimeout == .seconds(2))
        #expect(limits.requestTimeout == .seconds(3) && limits.idleTimeout == .seconds(4))
        #expect(limits.writeTimeout == .seconds(5) && limits.rateGrace == .seconds(8))
        #expect(limits.bodyRate == 6 && limits.writeRate == 7)
    }

    @Test func whatIsNotSetKeepsItsDefault() throws {
        var settings = Settings(Environment([:]))
        let (limits, defaults) = (HTTPLimits(from: &settings), HTTPLimits())
        try settings.finish()
        #expect(limits.parser == defaults.parser && limits.proxies == defaults.proxies)
        #expect(limits.proxies.map(\.description) == ["127.0.0.0/8", "::1/128"])
        #expect(limits.connections == 10_000 && limits.connectionsPerClient == 1_000)
    }

    @Test func whatIsNoLimitIsAFault() throws {
        var settings = Settings(
            Environment([
                "MILLRACE_HTTP_CONNECTIONS": "0", "MILLRACE_HTTP_PROXIES": "10.0.0.0/8,gateway",
                "MILLRACE_HTTP_HEAD_TIMEOUT": "0s",
            ]))
        _ = HTTPLimits(from: &settings)
        let error = try #require(throws: ConfigurationError.self) { try settings.finish() }
        #expect(
            Set(error.faults.map(\.name)) == [
                "MILLRACE_HTTP_CONNECTIONS", "MILLRACE_HTTP_PROXIES", "MILLRACE_HTTP_HEAD_TIMEOUT",
            ])
    }
}
