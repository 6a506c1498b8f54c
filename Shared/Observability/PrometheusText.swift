/// The Prometheus text exposition format, version 0.0.4.
struct PrometheusText {
    private(set) var bytes: [UInt8] = []

    mutating func append(_ family: MetricFamily, name: String) {
        append("# HELP \(name) \(Self.escaped(family.help, quotes: false))\n")
        append("# TYPE \(name) \(family.kind.rawValue)\n")
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
            switch series {
            case .counter(let counter): append(name, labels, "\(counter.value)")
            case .gauge(let gauge): append(name, labels, Self.number(gauge.value))
            case .reading(let read): append(name, labels, Self.number(read()))
            case .readings(let read):
                for reading in read().prefix(MetricsRegistry.maximumSeries) {
                    append(name, Self.labels(reading.labels), Self.number(reading.value))
                }
            case .histogram(let histogram): append(histogram, name, labels)
            }
        }
    }

    private mutating func append(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func append(_ name: String, _ labels: String, _ value: String) {
        append(labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n")
    }

    /// Buckets are cumulative; `_count` is taken from the same reading, so that it equals the last bucket.
    private mutating func append(_ histogram: Histogram, _ name: String, _ labels: String) {
        let prefix = labels.isEmpty ? "" : labels + ","
        var cumulative = 0
        for (index, count) in histogram.bucketCounts.enumerated() {
            cumulative += count
            let bound = index < histogram.bounds.count ? Self.number(histogram.bounds[index]) : "+Inf"
            append("\(name)_bucket", "\(prefix)le=\"\(bound)\"", "\(cumulative)")
        }
        append("\(name)_sum", labels, Self.number(histogram.sum))
        append("\(name)_count", labels, "\(cumulative)")
    }

    /// A float as Go's ParseFloat reads it.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
    }

    /// `a="1",b="2"`, without braces.
    static func labels(_ labels: [(String, String)]) -> String {
        labels.map { "\($0.0)=\"\(escaped($0.1, quotes: true))\"" }.joined(separator: ",")
    }

    static func overflow(_ labels: [(String, String)]) -> String {
        self.labels(labels.map { ($0.0, "overflow") })
    }

    /// Backslash and line feed are escaped everywhere, the quote in label values only.
    static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// Whether a metric may have this name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(48...57).contains(first) else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
    }
}
