import Testing

@testable import Observability

@Suite struct MetricsTests {
    @Test func instrumentsAreRenderedAsPrometheusText() {
        let registry = MetricsRegistry()
        registry.counter("requests_total", help: "Requests\nby \\ route", labels: [("route", "/v1/\"a\\b\n\"")]).add(3)
        registry.counter("requests_total", help: "ignored", labels: [("route", "/a")]).add()
        let gauge = registry.gauge("depth", help: "Depth.")
        gauge.set(5)
        gauge.add(-1.5)
        registry.gauge("lag", help: "Lag.") { .infinity }
        let expected = [
            "# HELP depth Depth.", "# TYPE depth gauge", "depth 3.5",
            "# HELP lag Lag.", "# TYPE lag gauge", "lag +Inf",
            #"# HELP requests_total Requests\nby \\ route"#, "# TYPE requests_total counter",
            #"requests_total{route="/a"} 1"#, #"requests_total{route="/v1/\"a\\b\n\""} 3"#, "",
        ]
        #expect(String(decoding: registry.render(), as: UTF8.self) == expected.joined(separator: "\n"))
    }

    @Test func histogramsAreCumulativeWithInclusiveBounds() {
        let registry = MetricsRegistry()
        let histogram = registry.histogram("t_seconds", help: "T.", labels: [("a", "b")], buckets: [1, 0.5, 2])
        for value in [0.5, 0.25, 1, 1.5, 64, .nan] { histogram.observe(value) }
        histogram.observe(.milliseconds(250))
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").dropFirst(2)
        #expect(
            Array(lines) == [
                #"t_seconds_bucket{a="b",le="0.5"} 3"#, #"t_seconds_bucket{a="b",le="1"} 4"#,
                #"t_seconds_bucket{a="b",le="2"} 5"#, #"t_seconds_bucket{a="b",le="+Inf"} 6"#,
                #"t_seconds_sum{a="b"} 67.5"#, #"t_seconds_count{a="b"} 6"#,
            ])
    }

    @Test func theSameNameAndLabelsAreTheSameInstrument() {
        let registry = MetricsRegistry()
        let first = registry.counter("c", help: "", labels: [("a", "1")])
        #expect(first === registry.counter("c", help: "", labels: [("a", "1")]))
        #expect(first !== registry.counter("c", help: "", labels: [("a", "2")]))
        first.add(-5)
        #expect(first.value == 0)
    }

    @Test func concurrentUpdatesAreAllCounted() async {
        let registry = MetricsRegistry()
        let counter = registry.counter("c", help: "")
        let gauge = registry.gauge("g", help: "")
        let histogram = registry.histogram("h", help: "", buckets: [1])
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.add()
                        gauge.add(1)
                        histogram.observe(2)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 40_000)
        #expect(histogram.sum == 80_000)
        #expect(histogram.bucketCounts == [0, 40_000])
    }

    @Test func aFamilyIsBoundedAndTheRestSharesOneSeries() {
        let registry = MetricsRegistry()
        for number in 0..<MetricsRegistry.maximumSeries + 50 {
            registry.counter("c", help: "", labels: [("n", "\(number)")]).add()
        }
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2 + MetricsRegistry.maximumSeries + 1)
        #expect(lines.contains(#"c{n="overflow"} 50"#))
    }

    @Test func aReadingReplacesAnEarlierOne() {
        let registry = MetricsRegistry()
        registry.counter("c", help: "") { 1 }
        registry.counter("c", help: "") { 2.5 }
        #expect(String(decoding: registry.render(), as: UTF8.self).hasSuffix("\nc 2.5\n"))
    }

    @Test func aFamilyReadAsAWholeHasTheSeriesOfTheMoment() {
        let registry = MetricsRegistry()
        registry.gauges("age", help: "Age.") { [.init(labels: [("of", "a\"b")], value: 1.5)] }
        let lines = { String(decoding: registry.render(), as: UTF8.self).split(separator: "\n").dropFirst(2) }
        #expect(Array(lines()) == [#"age{of="a\"b"} 1.5"#])
        registry.gauges("age", help: "Age.") {
            (0...MetricsRegistry.maximumSeries).map { .init(labels: [("of", "\($0)")], value: 0) }
        }
        #expect(lines().count == MetricsRegistry.maximumSeries)
    }

    @Test func theProcessIsMeasured() throws {
        let registry = MetricsRegistry()
        registry.addProcess(service: "ingest", version: "1.2", logSink: .memory())
        let lines = String(decoding: registry.render(), as: UTF8.self).split(separator: "\n")
        func value(_ name: String) throws -> Double {
            let line = try #require(lines.first { $0.hasPrefix(name + " ") })
            return try #require(Double(line.dropFirst(name.count + 1)))
        }
        #expect(try value("process_resident_memory_bytes") > 1_000_000)
        #expect(try value("process_cpu_seconds_total") > 0)
        #expect(try value("process_start_time_seconds") > 1_600_000_000)
        #expect(try value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"))
        #expect(try (3...1_000_000).contains(value("process_open_fds")))
        #expect(try value("process_max_fds") >= value("process_open_fds"))
        #expect(try value("millrace_log_lines_dropped_total") == 0)
        #expect(try value(#"millrace_build_info{service="ingest",version="1.2"}"#) == 1)
    }

    @Test(arguments: ["a", "a:b_9", "_x"]) func names(_ name: String) {
        #expect(PrometheusText.isName(name))
    }

    @Test(arguments: ["", "9a", "a-b", "ä"]) func noNames(_ name: String) {
        #expect(!PrometheusText.isName(name))
    }
}
