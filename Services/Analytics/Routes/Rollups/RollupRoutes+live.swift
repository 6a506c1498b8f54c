import HTTP
import HTTPServer
import JSON
import Records

extension RollupRoutes {
    func live(_ request: Request) async throws -> Response {
        guard MediaType.choose(request.head["accept"], from: [.eventStream]) != nil else {
            throw Problem(.notAcceptable, "changes come as text/event-stream")
        }
        let (rollup, _) = try await find(request)
        let query = try request.query()
        let numbers = query.value("numbers", oneOf: QueryNumbers.self)?.style ?? .plain
        try query.finish()
        let (feed, watchKey) = (feed, watchKey)
        let listener = try feed.follow(rollup, numbers)
        let lastSeen = request.lastEventID
        let resumed = lastSeen.flatMap { RollupEvent.position($0, of: rollup.id, last: rollup.lastEvent) }
        return .events(request, until: { try await watchKey(request) }) { events in
            if resumed == nil {
                let reason: RollupEvent.Reset = lastSeen == nil ? .started : .unknown
                try await events.send(RollupEvent(rollup.lastEvent, of: rollup.id, reset: reason).message)
            }
            try await feed.run(listener, after: resumed ?? rollup.lastEvent) { try await events.send($0.message) }
        }
    }
}
