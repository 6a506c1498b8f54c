import Catalog
import HTTP
import HTTPServer
import Records

/// What the head of a request to `/v1/ingest/{source}` says about its body and its answer.
struct IngestOptions: Sendable {
    var format: RecordFormat
    var coding: ContentCoding?
    var idempotencyKey: String?
    /// How long to wait until the records are stored; nil does not wait.
    var wait: Duration?

    private enum Wait: String, CaseIterable { case stored }

    static let longestWait = Duration.seconds(60)

    /// Throws `unsupported_media_type`, `invalid_header` and `invalid_parameter`.
    init(_ request: Request) throws(Problem) {
        wait = request.head.queryBytes.isEmpty ? nil : try Self.wait(try request.query())
        format = try Self.format(request.head["content-type"])
        coding = try Self.coding(request.head["content-encoding"])
        idempotencyKey = try request.idempotencyKey()
    }

    private static func wait(_ query: QueryFields) throws(Problem) -> Duration? {
        let waits = query.value("wait", oneOf: Wait.self) != nil
        let timeout = query.duration("timeout", maximum: longestWait)
        if timeout != nil && !waits { query.fault("timeout", "goes with wait=stored") }
        try query.finish()
        return waits ? timeout ?? .seconds(30) : nil
    }

    private static func format(_ header: String?) throws(Problem) -> RecordFormat {
        guard let header else {
            throw Problem(.unsupportedMediaType, "Content-Type is missing; it is one of \(supported)")
        }
        guard let type = MediaType(header), type.isUTF8 else {
            throw Problem(.unsupportedMediaType, "Content-Type \(header) is not UTF-8; send one of \(supported)")
        }
        guard let format = RecordFormat(type) else {
            throw Problem(.unsupportedMediaType, "Content-Type \(type.essence) is not one of \(supported)")
        }
        if let refusal = RecordFormat.refusal(type) { throw Problem(.unsupportedMediaType, refusal) }
        return format
    }

    private static let supported = RecordFormat.mediaTypes

    private static func coding(_ header: String?) throws(Problem) -> ContentCoding? {
        switch header?.lowercased() {
        case nil, "", "identity": return nil
        case "gzip", "x-gzip": return .gzip
        case "deflate": return .deflate
        case "zstd": return .zstd
        case let other?:
            throw Problem(.unsupportedMediaType, "Content-Encoding \(other) is not one of gzip, deflate, zstd")
        }
    }
}
