import Records

/// Which messages of a stream a landing holds, and by whose right.
///
/// It lands if and only if the stream's row still has `epoch`, and the last message that was committed is the one
/// before `first`. Whoever connects takes a new epoch; so of two connections with one stream id the later one is in,
/// the earlier cannot commit any more, and no message lands twice or before its predecessor.
struct StreamPosition: Sendable, Hashable {
    var name: String
    var epoch: Int64
    var first: Int64
    var last: Int64
}

/// Messages of a stream that follow each other, to be landed together.
struct StreamGroup: Sendable, Equatable {
    var first: Int64
    var last: Int64
    var frame: BatchFrame
    /// What the group counts for against the limit of unacknowledged bytes.
    var bytes: Int
}
