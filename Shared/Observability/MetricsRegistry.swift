import Synchronization

/// All instruments of a process, rendered as Prometheus text (exposition format 0.0.4).
///
/// Asking for an instrument takes a lock; using it does not. Take instruments once, at the start, and keep them.
/// The same name and labels give the same instrument. Labels are bounded sets (a route pattern, a code), never
/// what a client sends: a family holds at most `maximumSeries`, all further ones share a series `overflow`.
public final class MetricsRegistry: Sendable {
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    public static let maximumSeries = 2000

    private let families = Mutex<[String: MetricFamily]>([:])

    public init() {}

    /// A counter; by custom the name ends in `_total`.
    public func counter(_ name: String, help: String, labels: [(String, String)] = []) -> Counter {
        instrument(name, help, .counter, labels, { .counter(Counter()) }) {
            if case .counter(let counter) = $0 { counter } else { nil }
        } ?? Counter()
    }

    public func gauge(_ name: String, help: String, labels: [(String, String)] = []) -> Gauge {
        instrument(name, help, .gauge, labels, { .gauge(Gauge()) }) {
            if case .gauge(let gauge) = $0 { gauge } else { nil }
        } ?? Gauge()
    }

    /// A histogram; `buckets` are inclusive upper bounds, at most `Histogram.maximumBuckets` of them.
    public func histogram(
        _ name: String, help: String, labels: [(String, String)] = [],
        buckets: [Double] = Histogram.latencyBuckets
    ) -> Histogram {
        instrument(name, help, .histogram, labels, { .histogram(Histogram(bounds: buckets)) }) {
            if case .histogram(let histogram) = $0 { histogram } else { nil }
        } ?? Histogram(bounds: buckets)
    }

    /// A counter whose value is read when the metrics are rendered; a later reading of the same series replaces it.
    public func counter(
        _ name: String, help: String, labels: [(String, String)] = [], reading: @escaping @Sendable () -> Double
    ) {
        replace(name, help, .counter, labels, with: .reading(reading))
    }

    /// A gauge whose value is read when the metrics are rendered; it must not block.
    public func gauge(
        _ name: String, help: String, labels: [(String, String)] = [], reading: @escaping @Sendable () -> Double
    ) {
        replace(name, help, .gauge, labels, with: .reading(reading))
    }

    /// One series of a family that is read as a whole.
    public struct Reading: Sendable {
        public var labels: [(String, String)]
        public var value: Double

        public init(labels: [(String, String)], value: Double) {
            self.labels = labels
            self.value = value
        }
    }

    /// Gauges whose labels are known only when the metrics are rendered; a later reading of the same name replaces it.
    /// It must not block, nor name a series twice; past `maximumSeries` the rest is left out.
    public func gauges(_ name: String, help: String, reading: @escaping @Sendable () -> [Reading]) {
        replace(name, help, .gauge, [], with: .readings(reading))
    }

    /// The text for `GET /metrics`, families and series in the order of their names.
    public func render() -> [UInt8] {
        let snapshot = families.withLock { $0 }
        var text = PrometheusText()
        for (name, family) in snapshot.sorted(by: { $0.key < $1.key }) {
            text.append(family, name: name)
        }
        return text.bytes
    }

    /// Finds or makes an instrument. Of a name that is in use for another type, or is no metric's name, the
    /// caller gets an instrument that is not rendered; `assert` shows the mistake in a debug build.
    private func instrument<Instrument>(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ labels: [(String, String)],
        _ make: () -> MetricFamily.Series, _ match: (MetricFamily.Series) -> Instrument?
    ) -> Instrument? {
        let labelText = PrometheusText.labels(labels)
        let found = families.withLock { families -> MetricFamily.Series? in
            var family = families[name] ?? MetricFamily(kind: kind, help: help)
            guard family.kind == kind, PrometheusText.isName(name) else { return nil }
            let key = family.admits(labelText) ? labelText : PrometheusText.overflow(labels)
            let series = family.series[key] ?? make()
            family.series[key] = series
            families[name] = family
            return series
        }
        let instrument = found.flatMap(match)
        assert(instrument != nil, "\(name) is no metric name, or has another type already")
        return instrument
    }

    private func replace(
        _ name: String, _ help: String, _ kind: MetricFamily.Kind, _ labels: [(String, String)],
        with series: MetricFamily.Series
    ) {
        _ = instrument(name, help, kind, labels, { series }) { _ in true }
        let key = PrometheusText.labels(labels)
        families.withLock { families in
            if families[name]?.series[key] != nil { families[name]?.series[key] = series }
        }
    }
}

/// The series of one name.
struct MetricFamily {
    enum Kind: String {
        case counter, gauge, histogram
    }

    enum Series {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case reading(@Sendable () -> Double)
        case readings(@Sendable () -> [MetricsRegistry.Reading])
    }

    let kind: Kind
    let help: String
    /// By the label text as it is rendered.
    var series: [String: Series] = [:]

    func admits(_ labels: String) -> Bool {
        series.count < MetricsRegistry.maximumSeries || series[labels] != nil
    }
}
