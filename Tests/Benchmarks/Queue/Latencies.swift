import Foundation

/// Times from enqueueing to the start, counted in sixteen buckets an octave of microseconds: 4.4 % apart.
struct Latencies {
    private var counts: [Int: Int] = [:]

    mutating func add(microseconds: Int64, times: Int = 1) {
        counts[Int(log2(Double(max(1, microseconds))) * 16), default: 0] += times
    }

    /// As JSON: `{"<bucket>": <count>}`.
    var json: String {
        "{" + counts.sorted { $0.key < $1.key }.map { #""\#($0.key)": \#($0.value)"# }.joined(separator: ", ") + "}"
    }
}
