import JSON
import Testing

@testable import Ingest

@Suite("Ingest: a source's settings")
struct SourceSettingsTests {
    private func decode(_ value: JSONValue) throws(FieldFaults) -> SourceSettings {
        try SourceSettings(JSONFields(value), bodyLimit: 1 << 30)
    }

    @Test("All is read, written canonically, and read again from there")
    func roundTrip() throws {
        let settings = try decode([
            "coalescing": ["linger": "0s", "max_bytes": 4096], "retention": ["raw": "48h"],
            "limits": [
                "max_lag": "300s", "max_body_bytes": 1000, "landing_bytes": 2048, "records_per_second": 5,
                "bytes_per_second": 6,
            ],
        ])
        let written: JSONValue = [
            "limits": [
                "max_lag": "5m", "max_body_bytes": 1000, "landing_bytes": 2048, "records_per_second": 5,
                "bytes_per_second": 6,
            ],
            "retention": ["raw": "2d"], "coalescing": ["max_bytes": 4096, "linger": "0s"],
        ]
        #expect(settings.json == written)
        #expect(SourceSettings(stored: written.serialized()) == settings)
        #expect(try decode(["limits": [:], "retention": nil, "coalescing": ["linger": nil]]).json == [:])
    }

    @Test("Every mistake is named with its path, at once")
    func mistakes() {
        let faults = #expect(throws: FieldFaults.self) {
            try decode([
                "limits": ["max_lag": "0s", "max_body_bytes": 2_147_483_648, "landing_bytes": "1GiB", "per_hour": 5],
                "retention": ["raw": "30m", "chunks": "1d"], "coalescing": ["linger": 5, "max_bytes": 0], "limit": [:],
            ])
        }
        let paths = Set((faults?.faults ?? []).map(\.path))
        #expect(
            paths == [
                "limits.max_lag", "limits.max_body_bytes", "limits.landing_bytes", "limits.per_hour", "retention.raw",
                "retention.chunks", "coalescing.linger", "coalescing.max_bytes", "limit",
            ])
    }

    @Test("What is stored is read as far as it is known")
    func lenient() {
        let text = #"{"limits": {"max_lag": "1m", "new": 1}, "other": [], "retention": 5}"#
        #expect(SourceSettings(stored: Array(text.utf8)).json == ["limits": ["max_lag": "1m"]])
        #expect(SourceSettings(stored: Array("[]".utf8)).json == [:])
    }

    @Test("The service's own settings count where the source has none; a body is never let past the service's limit")
    func policy() throws {
        let defaults = try SourcePolicy.standard(["MILLRACE_BODY_MAX_BYTES": "1MiB", "MILLRACE_LINGER": "7ms"])
        var settings = SourceSettings()
        #expect(defaults.with(settings) == defaults)
        settings.limits.maxBodyBytes = 1 << 40
        settings.limits.recordsPerSecond = 9
        settings.retention.raw = .seconds(86_400)
        settings.coalescing.maxBytes = 2048
        let policy = defaults.with(settings)
        #expect(policy.maxBodyBytes == 1 << 20)
        #expect(policy.recordsPerSecond == 9)
        #expect(policy.rawRetention == .seconds(86_400))
        #expect(policy.pace.bytes == 2048)
        #expect(policy.pace.linger == .milliseconds(7))
        #expect(policy.maxLag == .seconds(600))
    }
}
