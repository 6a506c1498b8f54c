import Testing

@testable import Observability

@Suite struct CounterFamilyTests {
    @Test func labelsAreMetAsTheyComeAndBounded() {
        let registry = MetricsRegistry()
        let family = CounterFamily(registry, "q_total", help: "", labels: ["stage", "reason"], limit: 3)
        for (reason, count) in [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5), ("a", 6)] {
            family.add(["s", reason], count)
        }
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").dropFirst(2)
        #expect(
            Array(lines) == [
                #"q_total{stage="other",reason="other"} 9"#, #"q_total{stage="s",reason="a"} 7"#,
                #"q_total{stage="s",reason="b"} 2"#, #"q_total{stage="s",reason="c"} 3"#,
            ])
    }

    @Test func aMillionReasonsMakeNoMillionSeries() {
        let registry = MetricsRegistry()
        let family = registry.quarantine()
        for number in 0..<1_000_000 { family.add(["transform", "\(number)"]) }
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").dropFirst(2)
        #expect(lines.count == 101)
        #expect(lines.contains(#"millrace_quarantined_total{stage="other",reason="other"} 999900"#))
    }
}
