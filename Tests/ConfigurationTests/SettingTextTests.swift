import Testing

@testable import Configuration

@Suite struct SettingTextTests {
    @Test(arguments: [
        ("0", 0), ("65536", 65_536), ("7B", 7), ("512KiB", 524_288), ("512Ki", 524_288), ("2GiB", 2_147_483_648),
        ("10MB", 10_000_000), ("1T", 1_000_000_000_000), ("8388607TiB", 8_388_607 << 40),
    ])
    func byteCounts(_ text: String, _ bytes: Int) {
        #expect(SettingText.byteCount(text) == bytes)
    }

    @Test(arguments: ["", "GiB", "-1", "+1", "1.5GiB", "2 GiB", "2gib", "8388608TiB", "99999999999999999999", "٣"])
    func noByteCounts(_ text: String) {
        #expect(SettingText.byteCount(text) == nil)
    }

    @Test(arguments: [
        ("0", Duration.zero), ("0s", .zero), ("30s", .seconds(30)), ("250ms", .milliseconds(250)),
        ("500us", .microseconds(500)), ("5m", .seconds(300)), ("1h30m", .seconds(5400)),
        ("7d", .seconds(604_800)), ("1d1h1m1s1ms", .milliseconds(90_061_001)),
    ])
    func durations(_ text: String, _ duration: Duration) {
        #expect(SettingText.duration(text) == duration)
    }

    @Test(arguments: ["", "s", "30", "30S", "-1s", "1.5s", "30m1h", "1s1s", "1s ", "9999999999999d", "1h30"])
    func noDurations(_ text: String) {
        #expect(SettingText.duration(text) == nil)
    }

    @Test func booleans() {
        #expect(["true", "YES", "on", "1"].allSatisfy { SettingText.boolean($0) == true })
        #expect(["false", "No", "OFF", "0"].allSatisfy { SettingText.boolean($0) == false })
        #expect(["", "2", "ja", " true"].allSatisfy { SettingText.boolean($0) == nil })
    }

    @Test func urls() throws {
        let url = try #require(ServiceURL("HTTP://store.local:8083/base//"))
        #expect(url.scheme == "http")
        #expect(url.host == "store.local")
        #expect(url.port == 8083)
        #expect(url.path == "/base")
        let six = try #require(ServiceURL("https://[::1]:443"))
        #expect(six.host == "::1")
        #expect(six.port == 443)
        #expect(ServiceURL("http://a")?.port == nil)
    }

    @Test(arguments: [
        "", "a", "http:/a", "http://", "http://:80", "http://u:p@a", "http://a:0", "http://a:70000", "http://a:",
        "http://a b", "http://a?x", "http://a#x", "://a", "http://[::1", "http://[::1]x", "1http://a", "http://a\n",
    ])
    func noURLs(_ text: String) {
        #expect(ServiceURL(text) == nil)
    }

    @Test func aWrongSchemeIsRefusedAndTheDefaultStands() throws {
        let fallback = try #require(ServiceURL("http://a"))
        var settings = Settings(Environment(["U": "ftp://b"]))
        #expect(settings.url("U", default: fallback, schemes: ["http", "https"]) == fallback)
        #expect(throws: ConfigurationError.self) { try settings.finish() }
    }

    @Test func quotedValuesAreCutAndOnOneLine() {
        #expect(SettingText.quoted("a\nb") == "\"a b\"")
        #expect(SettingText.quoted(String(repeating: "x", count: 65)).hasSuffix("x\"…"))
    }
}
