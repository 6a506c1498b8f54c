import Catalog
import Postgres

extension Coalescer {
    /// Lands messages of streams: their positions move in the transaction that lands their records. Of a stream that
    /// another connection has taken over nothing is landed, and its neighbours go on without it.
    func landStreams(_ parts: [Part], _ lane: Lane) async throws -> [Landing] {
        var held = Array(parts.indices)
        while !held.isEmpty {
            let included = Set(held)
            let positions = held.compactMap { parts[$0].request.stream }
            let batch = try GroupedBatch(parts, included: included.contains, tracer)
            let statement = LandStreamBatch(batch: try await batch.statement(id: nil, lane), positions: positions)
            if let id = try await pool.withConnection({ try await $0.query(statement).first }) {
                batch.spans?.of(batch: id).end()
                return parts.indices.map { place in
                    included.contains(place) ? .landed(.coalesced(batch: id, ordinal: Int32(place))) : .keyTaken
                }
            }
            let find = FindHeldStreams(sourceID: lane.sourceID, positions: positions)
            let places = try await pool.withConnection { try await $0.query(find) }
            guard places.count < held.count else { throw TooBusy(reason: "the batch was not landed") }
            held = places.map { held[$0] }
        }
        return parts.map { _ in .keyTaken }
    }
}
