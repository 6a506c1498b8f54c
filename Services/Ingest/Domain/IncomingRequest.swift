import Observability
import Records

/// What a request carries besides its records, on its way into landing.
struct IncomingRequest: Sendable {
    var sourceID: Int64
    /// How it may share a batch.
    var pace: CoalescingPace
    var requestID: String
    /// Carried through the jobs.
    var trace: TraceContext
    var idempotencyKey: String?
    /// Where the records stand in a stream.
    var stream: StreamPosition?
}

/// An idempotency key with what it stands for: SHA-256 of the decoded body and its type.
struct KeyedBody: Sendable, Hashable {
    var key: String
    var fingerprint: [UInt8]
}

extension RecordFormat {
    /// The name in the ledger.
    var name: String {
        switch self {
        case .ndjson: "ndjson"
        case .json: "json"
        case .csv: "csv"
        case .text: "text"
        }
    }
}
