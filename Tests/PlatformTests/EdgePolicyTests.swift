import Configuration
import HTTP
import HTTPServer
import Platform
import Testing

@Suite struct EdgePolicyTests {
    private func read(_ variables: [String: String]) throws -> EdgePolicy {
        var settings = Settings(Environment(variables))
        let policy = EdgePolicy(from: &settings)
        try settings.finish()
        return policy
    }

    @Test func bySilenceOnlyThisMachineIsBelievedAndNoOtherOriginReads() throws {
        let policy = try read([:])
        #expect(policy.trustedProxies == .loopback)
        #expect(policy.crossOrigin == nil)
        #expect(policy.compresses)
        #expect(try !read(["MILLRACE_COMPRESSION": "off"]).compresses)
    }

    @Test func proxiesAreRangesOrNone() throws {
        let policy = try read(["MILLRACE_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::7"])
        #expect(policy.trustedProxies.trusts(try #require(IPAddress("10.1.2.3"))))
        #expect(policy.trustedProxies.trusts(try #require(IPAddress("2001:db8::7"))))
        #expect(!policy.trustedProxies.trusts(try #require(IPAddress("127.0.0.1"))))
        #expect(try read(["MILLRACE_TRUSTED_PROXIES": "none"]).trustedProxies == .none)
    }

    @Test func originsAreExactOrAny() throws {
        let origin = try #require(WebOrigin("https://a.example"))
        #expect(try read(["MILLRACE_CORS_ORIGINS": "*"]).crossOrigin == CrossOriginPolicy(.any))
        let policy = try read(["MILLRACE_CORS_ORIGINS": "https://a.example"])
        #expect(policy.crossOrigin == CrossOriginPolicy(.only([origin])))
    }

    @Test func whatIsWrongIsNamedMemberByMember() throws {
        let variables = [
            "MILLRACE_TRUSTED_PROXIES": "10.0.0.1/8, gateway, ::1", "MILLRACE_CORS_ORIGINS": "https://a.example/, *",
        ]
        let error = try #require(throws: ConfigurationError.self) { try read(variables) }
        #expect(
            error.faults.map(\.name) == [
                "MILLRACE_TRUSTED_PROXIES", "MILLRACE_TRUSTED_PROXIES", "MILLRACE_CORS_ORIGINS",
                "MILLRACE_CORS_ORIGINS",
            ])
        #expect(error.description.contains("not \"gateway\""))
    }
}
