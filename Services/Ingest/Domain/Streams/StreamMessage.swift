import Records

/// One message of a stream, cut into records: `{"seq": n, "records": […]}`, or NDJSON, whose number is the next.
struct StreamMessage: Sendable {
    let seq: Int64?
    let frame: BatchFrame

    /// Throws `StreamEnvelope.Malformed`, `RecordsError` where the records cannot be cut, and `Intake.EmptyBody`.
    init(_ octets: [UInt8]) throws {
        let envelope = try StreamEnvelope(octets)
        var splitter = RecordSplitter(format: envelope == nil ? .ndjson : .json)
        try splitter.append(octets[envelope?.records ?? octets.indices])
        try splitter.finish()
        guard let frame = splitter.takeFrame() else { throw Intake.EmptyBody(reason: splitter.emptiness) }
        seq = envelope?.seq
        self.frame = frame
    }
}
