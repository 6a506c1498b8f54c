import Catalog
import HTTP
import JSON
import Records

/// The records of a dry run, cut as ingest cuts them.
struct DryRecords: Sendable {
    let frame: BatchFrame
    /// As they were given one by one; nil where they came as a body.
    private let given: [JSONValue]?

    /// A list of strings is lines of text; anything else is JSON records.
    init(_ records: [JSONValue]) {
        let isText = !records.isEmpty && records.allSatisfy { $0.string != nil }
        var frame = BatchFrame(format: isText ? .text : .ndjson)
        for record in records {
            frame.append(record: isText ? Array((record.string ?? "").utf8) : record.serialized())
        }
        self.frame = frame
        given = records
    }

    /// A body of this format. Throws `unsplittable` with its position where it is not.
    init(raw: String, _ format: RecordFormat) throws(RecordsError) {
        var splitter = RecordSplitter(format: format)
        try splitter.append(Array(raw.utf8))
        try splitter.finish()
        frame = splitter.takeFrame() ?? BatchFrame(format: format)
        given = nil
    }

    /// Reads the last fields of a request, either `records`, or `raw` and its `format`, and finishes it.
    init(finishing fields: JSONFields) throws {
        let records = fields.optional("records", [JSONValue].self)
        let raw = fields.optional("raw", String.self)
        let named = fields.optional("format", String.self)
        if (records == nil) == (raw == nil) { fields.fault("records", "expected either records or raw") }
        if raw == nil, named != nil { fields.fault("format", "goes with raw") }
        let type = named.flatMap { MediaType($0) }.flatMap { $0.isUTF8 ? $0 : nil }
        let format = type.flatMap { RecordFormat($0) }
        if raw != nil, format == nil { fields.fault("format", "expected one of \(RecordFormat.mediaTypes)") }
        if let refusal = type.flatMap(RecordFormat.refusal) { fields.fault("format", refusal) }
        try fields.finish()
        guard let raw, let format else {
            self.init(records ?? [])
            return
        }
        do throws(RecordsError) {
            try self.init(raw: raw, format)
        } catch {
            throw Problem(error)
        }
    }

    var count: Int { frame.recordCount }

    /// Records as they were given: as JSON values, or as the text of a body.
    func values(_ ordinals: [Int32]) -> [JSONValue] {
        if let given { return ordinals.map { given[Int($0)] } }
        let offsets = frame.offsets()
        return ordinals.map { .string(String(decoding: frame.record(Int($0), offsets: offsets), as: UTF8.self)) }
    }
}
