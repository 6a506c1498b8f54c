import Catalog
import JSON

/// What became of one accepted request, so far.
///
/// `stored`, `filtered`, `quarantined` and `duplicates` are sums over the outputs: a source that two pipelines read
/// counts its records twice there, once for each.
struct Receipt: Sendable, Equatable {
    enum State: String, Sendable, CaseIterable {
        /// Durable; no output of it has been transformed in full.
        case accepted
        /// Transformed in all outputs, not yet stored in all.
        case transformed
        /// Stored in all outputs.
        case stored
        /// At least one output has used up its attempts. Its jobs are among the dead letters.
        case failed
    }

    var id: ReceiptID
    var head: ReceiptHead
    var outputs: [ReceiptPart]

    /// The least advanced of the outputs, `failed` if any is dead.
    var state: State {
        let states = outputs.compactMap { State(rawValue: $0.state) }
        if states.contains(.failed) { return .failed }
        if states.isEmpty || states.contains(.accepted) { return .accepted }
        return states.contains(.transformed) ? .transformed : .stored
    }

    var filtered: Int64 { outputs.reduce(0) { $0 + $1.filtered } }
    var quarantined: Int64 { outputs.reduce(0) { $0 + $1.quarantined } }
    var duplicates: Int64 { outputs.reduce(0) { $0 + $1.duplicates } }
    var stored: Int64 { outputs.reduce(0) { $0 + $1.stored } }

    /// When the last output was stored, µs since 2000-01-01 UTC; nil until all are.
    var storedAt: Int64? { state == .stored ? outputs.compactMap(\.storedAt).max() : nil }
}

extension ReceiptPart {
    /// Rows in the dataset: known once the output is stored.
    var stored: Int64 { state == "stored" ? received - filtered - quarantined - duplicates : 0 }
}
