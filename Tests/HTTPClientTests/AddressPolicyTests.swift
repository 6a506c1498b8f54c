import Configuration
import HTTP
import HTTPServer
import Testing

@testable import HTTPClient

@Suite("HTTP client: address policy")
struct AddressPolicyTests {
    @Test(
        "Special addresses, by kind, at both ends of their blocks",
        arguments: [
            ("unspecified", ["0.0.0.0", "0.255.255.255", "::"]), ("loopback", ["127.0.0.0", "127.255.255.255", "::1"]),
            (
                "private",
                ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"]
            ),
            ("carrier-grade NAT", ["100.64.0.0", "100.100.100.200", "100.127.255.255"]),
            ("link-local", ["169.254.0.0", "169.254.169.254", "169.254.255.255", "fe80::", "febf:ffff::1"]),
            ("unique local", ["fc00::", "fd00:ec2::254", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"]),
            ("site-local", ["fec0::1", "feff::1"]),
            ("multicast", ["224.0.0.0", "239.255.255.255", "ff00::", "ff02::1"]),
            ("broadcast", ["255.255.255.255"]), ("reserved", ["240.0.0.0", "255.255.255.254"]),
            ("documentation", ["192.0.2.0", "198.51.100.255", "203.0.113.1", "2001:db8::", "3fff:fff:ffff::"]),
            ("benchmark", ["198.18.0.0", "198.19.255.255", "2001:2::", "2001:2:0:ffff::"]),
            ("protocol assignment", ["192.0.0.0", "192.0.0.192", "192.0.0.255", "2001:1::1", "2001:1ff:ffff::"]),
            ("6to4 relay", ["192.88.99.1"]), ("Teredo", ["2001::", "2001:0:ffff::"]),
            ("discard-only", ["100::", "100::ffff:ffff:ffff:ffff"]), ("segment routing", ["5f00::1"]),
            ("local NAT64", ["64:ff9b:1::", "64:ff9b:1:ffff::7f00:1"]), ("virtual machine host", ["168.63.129.16"]),
            ("IPv4-compatible", ["::8.8.8.8", "::127.0.0.1"]),
            ("not global unicast", ["1::", "100:0:0:1::", "4000::1", "::ffff:0:8.8.8.8", "200::1"]),
        ])
    func kinds(_ kind: String, _ addresses: [String]) throws {
        for text in addresses {
            let address = try #require(IPAddress(text))
            #expect(AddressPolicy().refusal(of: address) == kind, "\(text)")
        }
    }

    @Test(
        "Hosts of the Internet, also just beside the special blocks",
        arguments: [
            "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
            "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0",
            "192.31.196.1", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.101.0",
            "203.0.114.0", "223.255.255.255", "168.63.129.15", "2000::", "2001:200::1", "2001:4860:4860::8888",
            "2606:4700::1111", "3ffe:ffff::1", "3fff:1000::", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1",
        ])
    func allowed(_ text: String) throws {
        #expect(AddressPolicy().allows(try #require(IPAddress(text))))
    }

    /// Whatever is refused as IPv4 is refused in each IPv6 form that carries it.
    @Test(arguments: ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "224.0.0.1"])
    func embedded(_ text: String) throws {
        let v4 = try #require(IPAddress(text)).bits
        let forms: [UInt128] = [0xFFFF << 32 | v4, v4, 0x64_FF9B << 96 | v4, 0x2002 << 112 | v4 << 80 | 0x1]
        for form in forms { #expect(!AddressPolicy().allows(IPAddress(v6: form))) }
    }

    @Test("An opened range opens itself, and IPv4-mapped forms, but no others")
    func opened() throws {
        let policy = AddressPolicy(opening: try ["10.1.0.0/16", "fd00::/8"].map { try #require(AddressRange($0)) })
        for text in ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12::1", "8.8.8.8"] {
            #expect(policy.allows(try #require(IPAddress(text))), "\(text)")
        }
        for text in ["10.0.255.255", "10.2.0.0", "64:ff9b::10.1.2.3", "2002:a01:203::", "::10.1.2.3", "fc00::1", "::1"]
        {
            #expect(!policy.allows(try #require(IPAddress(text))), "\(text)")
        }
    }

    @Test("Clear text that is kept inside goes to the opened ranges alone")
    func clearText() throws {
        let ranges = try ["10.1.0.0/16", "fd00::/8"].map { try #require(AddressRange($0)) }
        let kept = AddressPolicy(opening: ranges, keepsClearTextInside: true)
        for text in ["10.1.0.1", "::ffff:10.1.2.3", "fd12::1"] {
            #expect(kept.allows(try #require(IPAddress(text)), inClear: true), "\(text)")
        }
        for text in ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"] {
            let address = try #require(IPAddress(text))
            #expect(!kept.allows(address, inClear: true) && kept.allows(address), "\(text)")
            #expect(AddressPolicy(opening: ranges).allows(address, inClear: true), "\(text)")
        }
        #expect(!kept.allows(try #require(IPAddress("10.2.0.0")), inClear: true))
    }

    @Test("It is the address of the socket that decides about clear text, whatever the name")
    func clearTextByName() async throws {
        try await Bench.run(
            [route(.get, "/") { _ in .text(.ok, "inside") }],
            settings: {
                $0.addresses = AddressPolicy(opening: loopback.opened, keepsClearTextInside: true)
                $0.limits.whole = .seconds(5)
            },
            resolver: FixedNames(["inside.test": ["127.0.0.1"], "outside.test": ["198.41.0.4", "2001:503:ba3e::2:30"]])
        ) { bench in
            let inside = try await bench.get("/", host: "inside.test")
            #expect(inside.text == "inside")
            for host in ["outside.test", "198.41.0.4", "0xc6290004", "[2001:503:ba3e::2:30]", "[::ffff:198.41.0.4]"] {
                let code = await reason { _ = try await bench.get("/", host: host) }
                #expect(code == .addressRefused, "\(host)")
            }
        }
    }

    @Test("Ranges from a setting, and all that is wrong with one")
    func setting() throws {
        var settings = Settings(Environment(["OPEN": " 10.0.0.0/8 , ::1,", "BAD": "10.0.0.1/8, 127.1"]))
        #expect(settings.addressRanges("OPEN").map(\.description) == ["10.0.0.0/8", "::1/128"])
        #expect(settings.addressRanges("NONE").isEmpty)
        try settings.finish()
        #expect(settings.addressRanges("BAD").isEmpty)
        do throws(ConfigurationError) {
            try settings.finish()
            Issue.record("no error")
        } catch {
            #expect(error.faults.count == 2 && error.description.contains("127.1"))
        }
    }
}
