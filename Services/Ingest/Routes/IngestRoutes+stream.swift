import Catalog
import HTTP
import HTTPServer
import JSON

extension IngestRoutes {
    var streamRoute: Route {
        Route(
            .get, "/v1/ingest/{source}/stream", scope: "ingest:write",
            operation: Operation(
                id: "ingestStream", summary: "Send records over a WebSocket",
                description: """
                    Each message, text or binary, is `{"seq": 1, "records": [{…}, …]}`, numbered from 1 on without a \
                    gap, or NDJSON, whose number is the one after the last. `{"ack": n}` says that all messages up to \
                    `n` are durable; the first one comes at once. After a break, connect with the same stream id, \
                    read where it is, and send what comes after: a message that came before is acknowledged again and \
                    not stored again. A later connection with the same stream id takes the stream over. A fault is \
                    told by a last message, a problem in JSON, and by the close code: 1007 for a message that cannot \
                    be read, 1008 for a number that is missing (`out_of_sequence`), for a stream that was taken over \
                    (`stream_taken_over`) and for a key that is not valid any more, 1009 for a message over 4 MiB, \
                    1013 when to try again (`retry_after` seconds later), 1001 when the service stops. What came \
                    before the fault is stored and acknowledged.
                    """,
                tag: "ingest",
                parameters: [
                    .init(
                        "source", .path, "The source; its first record makes it.", schema: ResourceName.schema,
                        example: "weblogs"),
                    .init(
                        "stream", .query,
                        "Names the stream, so that it can be gone on with. Unused for a week it begins at 1 again.",
                        schema: ["type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"],
                        required: true, example: "sensor-7"),
                    .init(
                        "Sec-WebSocket-Extensions", .header, "`permessage-deflate` is spoken.",
                        example: "permessage-deflate"),
                ],
                answers: [.init(.switchingProtocols, "The connection is a WebSocket.")],
                problems: [
                    .upgradeRequired, .invalidHeader, .invalidName, .storageFull, .lagging, .overloaded,
                    .databaseUnavailable,
                ]),
            handler: stream.handle)
    }
}
