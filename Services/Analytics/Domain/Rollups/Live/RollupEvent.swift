import HTTP
import JSON

/// What a round has changed in a rollup, as listeners get it.
struct RollupEvent: Sendable, Hashable {
    /// Why a listener has to read the rollup's data anew.
    enum Reset: String, CaseIterable, Sendable {
        /// It says of no event that it was the last one.
        case started
        /// What came after its last event is not kept any more.
        case expired
        /// Its last event is none of this rollup's.
        case unknown
        /// The rollup was filled anew, or more has changed than is told.
        case changed
    }

    /// Gap-free within a rollup; the first is 1.
    let id: Int64
    let message: ServerSentEvent

    /// - Parameter data: one line of JSON.
    init(_ id: Int64, of rollupID: Int64, data: [UInt8]) {
        self.id = id
        message = ServerSentEvent(id: "\(rollupID).\(id)", data: String(decoding: data, as: UTF8.self))
    }

    init(_ id: Int64, of rollupID: Int64, reset: Reset) {
        self.id = id
        let data: JSONValue = ["reason": .string(reset.rawValue)]
        message = ServerSentEvent(
            id: "\(rollupID).\(id)", event: "reset", data: String(decoding: data.serialized(), as: UTF8.self))
    }

    var byteCount: Int { message.data.utf8.count }

    /// The event that a `Last-Event-ID` names; nil where it is none of the rollup's, whose newest one is `last`.
    static func position(_ text: String, of rollupID: Int64, last: Int64) -> Int64? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0] == "\(rollupID)", let id = Int64(parts[1]), parts[1] == "\(id)",
            (0...last).contains(id)
        else { return nil }
        return id
    }
}
