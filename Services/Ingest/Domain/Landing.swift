import Catalog

/// How landing a request ended.
enum Landing: Sendable, Equatable {
    /// Durable, under this receipt.
    case landed(ReceiptID)
    /// Another request with the same key landed first: nothing was stored; look its record up. Of a stream: another
    /// connection has it.
    case keyTaken
    /// Another request with the same key is being landed elsewhere right now: nothing was stored.
    case keyInProgress
}

/// The request cannot be taken in at the moment.
struct TooBusy: Error, Sendable {
    let reason: String
}
