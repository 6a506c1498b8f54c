import Access
import Catalog
import HTTP
import HTTPServer

/// `GET /v1/ingest/{source}/stream`: takes records in over a WebSocket.
struct StreamRoute: Sendable {
    let intake: StreamIntake

    static let longestName = 128
    /// Octets of one message. A record that is longer than a record may be is quarantined, so it must fit.
    static let messageLimit = 4 << 20

    nonisolated(nonsending) func handle(_ request: Request) async throws -> Response {
        let principal = try request.principal()
        let name = try ResourceName(checking: request.parameter("source"))
        let stream = try Self.stream(request)
        // A request that asks for no WebSocket makes no source.
        _ = try WebSocketHandshake(request.head)
        let source = try await intake.sources.source(name, workspaceID: principal.workspaceID)
        try await intake.admission.admit(source.id, source.policy)
        let limit = min(Self.messageLimit, source.policy.maxBodyBytes)
        var options = WebSocketOptions()
        options.limits = WebSocketLimits(frame: limit, message: limit)
        let opening = StreamIntake.Opening(
            stream: stream, source: name, sourceID: source.id, workspaceID: principal.workspaceID, request: request)
        return try .webSocket(request, options: options) { [intake] in try await intake.run(opening, $0) }
    }

    private static func stream(_ request: Request) throws(Problem) -> String {
        let query = try request.query()
        let name = query.requiredString("stream")
        let isSound = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        if !isSound || name.isEmpty || name.utf8.count > longestName {
            query.fault("stream", "expected 1 to \(longestName) visible ASCII characters")
        }
        try query.finish()
        return name
    }
}
