import Testing

@testable import Configuration

@Suite struct TracingSettingsTests {
    private func read(_ variables: [String: String]) throws -> TracingSettings? {
        var settings = Settings(Environment(variables))
        let tracing = TracingSettings(service: "ingest", from: &settings)
        try settings.finish()
        return tracing
    }

    @Test func withoutACollectorNothingIsTraced() throws {
        #expect(try read([:]) == nil)
        #expect(try read(["OTEL_TRACES_SAMPLER_ARG": "7"]) == nil, "what is not used is not looked at")
    }

    @Test func theCollectorsUrlIsABase() throws {
        let own = try #require(try read(["MILLRACE_OTLP_ENDPOINT": "http://collector:4318/"]))
        #expect(own.url == "http://collector:4318/v1/traces" && own.ratio == 1 && own.headers.isEmpty)
        #expect(own.serviceName == "millrace-ingest" && own.certificateAuthorities == nil)
        let standard = try read([
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://[::1]:4318/otlp", "OTEL_SERVICE_NAME": "front",
            "OTEL_TRACES_SAMPLER_ARG": "0.05", "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
        ])
        #expect(standard?.url == "https://[::1]:4318/otlp/v1/traces" && standard?.serviceName == "front")
        #expect(standard?.ratio == 0.05 && standard?.certificateAuthorities == "/etc/ca.pem")
        let both = try read(["MILLRACE_OTLP_ENDPOINT": "http://a", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b"])
        #expect(both?.url == "http://a/v1/traces")
    }

    @Test func fieldsAreSecrets() throws {
        let tracing = try #require(
            try read([
                "MILLRACE_OTLP_ENDPOINT": "http://a",
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x=, x-scope = team",
            ]))
        #expect(tracing.headers.map(\.name) == ["authorization", "x-scope"])
        #expect(tracing.headers.map { $0.value.reveal() } == ["Bearer%20x=", "team"])
        #expect(!"\(tracing)".contains("team"))
    }

    @Test(arguments: [
        ("MILLRACE_OTLP_ENDPOINT", "collector:4318"), ("MILLRACE_OTLP_ENDPOINT", "ftp://collector"),
        ("MILLRACE_OTLP_ENDPOINT", "http://user@collector"), ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
        ("OTEL_TRACES_SAMPLER_ARG", "-0.1"), ("OTEL_TRACES_SAMPLER_ARG", "nan"), ("OTEL_TRACES_SAMPLER_ARG", "half"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"), ("OTEL_EXPORTER_OTLP_HEADERS", "=x"),
    ])
    func faultsNameTheirVariable(_ name: String, _ value: String) {
        let error = #expect(throws: ConfigurationError.self) {
            try read(["MILLRACE_OTLP_ENDPOINT": "http://a"].merging([name: value]) { _, new in new })
        }
        #expect(error?.faults.map(\.name) == [name])
    }
}
