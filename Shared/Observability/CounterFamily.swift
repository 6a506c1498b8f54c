import Synchronization

/// Counters of one name whose labels are met as they come, such as reasons. Of more than `limit` the further ones
/// count together, each of their labels `other`.
public final class CounterFamily: Sendable {
    private let registry: MetricsRegistry
    private let name: String
    private let help: String
    private let labels: [String]
    private let limit: Int
    private let counters = Mutex<[[String]: Counter]>([:])

    public init(_ registry: MetricsRegistry, _ name: String, help: String, labels: [String], limit: Int = 100) {
        self.registry = registry
        self.name = name
        self.help = help
        self.labels = labels
        self.limit = limit
    }

    /// Adds to the counter with these values, in the order of the labels.
    public func add(_ values: [String], _ amount: Int = 1) {
        counter(values).add(amount)
    }

    private func counter(_ values: [String]) -> Counter {
        counters.withLock { counters in
            if let counter = counters[values] { return counter }
            let key = counters.count < limit ? values : labels.map { _ in "other" }
            if let counter = counters[key] { return counter }
            let counter = registry.counter(name, help: help, labels: Array(zip(labels, key)))
            counters[key] = counter
            return counter
        }
    }
}

extension MetricsRegistry {
    /// Records that were quarantined: the stage that turned them down, and the code of the first reason.
    public func quarantine() -> CounterFamily {
        CounterFamily(
            self, "millrace_quarantined_total", help: "Records quarantined, by stage and by the first reason's code.",
            labels: ["stage", "reason"])
    }
}
