import Access
import Configuration
import HTTP
import HTTPClient
import Testing

@testable import Platform

@Suite struct AccessPolicyTests {
    private func read(_ keysURL: String, networks: String? = nil) throws(ConfigurationError) -> AccessPolicy {
        var variables = [
            "MILLRACE_JWT_ISSUER": "https://login.example", "MILLRACE_JWT_AUDIENCE": "millrace",
            "MILLRACE_JWT_WORKSPACE": "default", "MILLRACE_JWT_KEYS_URL": keysURL,
        ]
        variables["MILLRACE_JWT_NETWORKS"] = networks
        var settings = Settings(Environment(variables))
        let policy = AccessPolicy(from: &settings)
        try settings.finish()
        return policy
    }

    @Test(
        arguments: [
            ("https://login.example/keys", nil), ("https://8.8.8.8/keys", "10.0.0.0/8"),
            ("http://10.1.2.3/keys", "10.0.0.0/8"), ("http://[fd00::7]:8080/keys", "10.0.0.0/8, fd00::/8"),
            // What a name stands for is seen when it is connected to.
            ("http://keycloak:8080/keys", "10.0.0.0/8"),
        ] as [(String, String?)])
    func keysComeByTLSOrFromAnOpenedNetwork(_ url: String, _ networks: String?) throws {
        let policy = try read(url, networks: networks)
        #expect(policy.tokens?.keysURL == url)
        #expect(policy.client.addresses.keepsClearTextInside)
        #expect(!policy.client.addresses.allows(try #require(IPAddress("8.8.8.8")), inClear: true))
    }

    @Test(
        arguments: [
            ("http://login.example/keys", nil), ("http://8.8.8.8/keys", "10.0.0.0/8"), ("http://8.8.8.8/keys", nil),
            ("http://134744072/keys", "10.0.0.0/8"), ("http://[2606:4700::1111]/keys", "10.0.0.0/8"),
            ("http://192.168.1.1/keys", "10.0.0.0/8"), ("ftp://10.0.0.1/keys", "10.0.0.0/8"),
        ] as [(String, String?)])
    func anotherURLIsASettingThatIsWrong(_ url: String, _ networks: String?) throws {
        let error = try #require(throws: ConfigurationError.self) { try read(url, networks: networks) }
        #expect(error.faults.map(\.name) == ["MILLRACE_JWT_KEYS_URL"])
    }
}
