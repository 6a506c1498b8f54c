import HTTP
import Testing

@Suite("HTTP: addresses")
struct AddressTests {
    @Test(
        "Text to address and back",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::00A1", "2001:db8::a1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("::ffff:192.0.2.1", "::ffff:192.0.2.1"),
            ("::ffff:7f00:1", "::ffff:127.0.0.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
            ("1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ])
    func roundTrip(_ text: String, _ canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(
        "What is not plainly an address",
        arguments: [
            "", ".", ":", ":::", "1", "127.1", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "127.0.0.256", "127.0.0.1.",
            "127.0.0.1.2", "1.2.3", "1..2.3", "1.2.3.4 ", "+1.2.3.4", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
            "1::2::3", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "12345::", "g::", "::1%lo", "[::1]", "1.2.3.4::",
            "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "１.2.3.4", "::ffff:1.2.3.4.5", "::1:", ":1::2",
        ])
    func refused(_ text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("A mapped address is the one in it, any other is itself")
    func unmapped() throws {
        #expect(IPAddress("::ffff:10.1.2.3")?.unmapped == IPAddress("10.1.2.3"))
        for text in ["::10.1.2.3", "::fffe:10.1.2.3", "64:ff9b::10.1.2.3", "10.1.2.3"] {
            let address = try #require(IPAddress(text))
            #expect(address.unmapped == address)
        }
    }

    @Test(
        "Ranges and what they hold",
        arguments: [
            (
                "10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.9.8.7"],
                ["9.255.255.255", "11.0.0.0", "::10.1.1.1"]
            ),
            ("192.0.2.7", ["192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "2001:db8::1"]),
            ("fc00::/7", ["fc00::", "fdff:ffff::1"], ["fbff::1", "fe00::", "10.0.0.1"]),
            ("::/0", ["::", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]),
            ("::1/128", ["::1"], ["::", "::2", "127.0.0.1"]),
            ("::ffff:10.0.0.0/104", ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.0"]),
        ])
    func ranges(_ text: String, _ inside: [String], _ outside: [String]) throws {
        let range = try #require(AddressRange(text))
        for address in try inside.map({ try #require(IPAddress($0)) }) { #expect(range.contains(address)) }
        for address in try outside.map({ try #require(IPAddress($0)) }) { #expect(!range.contains(address)) }
    }

    @Test(
        "What is no range",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.1/8", "::/129", "fc00::1/7", "10/8",
            "10.0.0.0/8/8", "10.0.0.0/+8",
        ])
    func noRange(_ text: String) {
        #expect(AddressRange(text) == nil)
    }
}
