import Postgres
import Queue
import Records

/// A batch of a run, and what it became under a pipeline.
struct ReplayedBatch: Sendable {
    var ordinal: Int32
    var batchID: Int64
    var batch: TransformedBatch
    /// The pipeline's, by their numbers.
    var outputs: [PipelineDefinition.Target]
    /// It is made anew with all of its outputs.
    var isWhole: Bool
}

/// What a dry run says of a batch.
struct ComparedBatch: Sendable {
    var ordinal: Int32
    var batchID: Int64
    /// Records that a heal tried; nil for a replay.
    var tried: Int32?
    var stored: Int32 = 0
    var filtered: Int32 = 0
    var quarantined: Int32 = 0
    var duplicates: Int32 = 0
    /// Those that wait until all of the run's are there: rows that are merged by a key.
    var chunks: [Int64] = []
    var changes: [RowChanges] = []
}

/// Compares batches of a dry run with what is there, in a transaction that writes nothing but the run's progress.
///
/// Rows that are appended are compared with those whose place they would take. Rows that are merged by a key wait in
/// chunks, since which of them stays is known only once all are there.
struct DryReplay {
    private typealias Part = (chunks: [NewChunk], places: [ComparedTable.Place])

    let run: Int64
    let workspaceID: Int64
    let pipelineID: Int64

    /// The whole ones are the pipeline's. Throws `overtaken` when one of the batches was moved meanwhile.
    func compare(_ batches: [ReplayedBatch], emptyBody: [UInt8], _ connection: PostgresConnection) async throws {
        var compared = batches.map { counted($0) }
        for place in batches.indices {
            compared[place].chunks = try await keep(batches[place], emptyBody: emptyBody, connection)
        }
        for (dataset, part) in try await appended(batches, connection).sorted(by: { $0.key < $1.key }) {
            try await compare(dataset, part, &compared, connection)
        }
        for batch in compared {
            guard try await connection.execute(MarkCompared(run: run, batch: batch)) == 1 else {
                throw ReplayHandler.overtaken
            }
        }
    }

    /// Compares rows that are appended to a dataset. What would change of all batches is said of the first.
    private func compare(
        _ dataset: String, _ part: Part, _ compared: inout [ComparedBatch], _ connection: PostgresConnection
    ) async throws {
        let found = try await connection.query(FindComparedTable(workspaceID: workspaceID, name: dataset)).first
        let table = ComparedTable(dataset, found)
        try await connection.query(table.create)
        for chunk in part.chunks {
            try await ComparedTable.load(chunk.body, rawBytes: chunk.rawBytes, chunk.columns, connection)
        }
        if let sift = table.sift(part.places) {
            let refused = try await connection.query(sift)
            for number in 0..<refused.rowCount {
                let row = refused[number]
                let batch = try row.int8(0)
                guard let place = compared.firstIndex(where: { $0.batchID == batch }) else { continue }
                compared[place].stored -= try row.int4(1)
                compared[place].quarantined += try row.int4(2)
            }
        }
        let comparison = table.comparison(replacing: part.places)
        let result = try await connection.query(comparison.query)
        compared[0].changes.append(try comparison.changes(of: dataset, result[0]))
        try await connection.query("drop table pg_temp.millrace_dry")
    }

    private func counted(_ given: ReplayedBatch) -> ComparedBatch {
        var counts = ComparedBatch(
            ordinal: given.ordinal, batchID: given.batchID, tried: given.batch.chosen.map { Int32($0.count) })
        for output in given.batch.outputs {
            counts.stored += output.chunk?.rows ?? 0
            counts.filtered += output.application.filtered
            counts.quarantined += output.application.quarantined
            counts.duplicates += output.application.duplicates
        }
        return counts
    }

    /// Keeps the rows that are merged; gives their chunks.
    private func keep(
        _ given: ReplayedBatch, emptyBody: [UInt8], _ connection: PostgresConnection
    ) async throws -> [Int64] {
        let merged = given.batch.outputs.filter { $0.chunk?.mode.merges ?? false }
        guard !merged.isEmpty else { return [] }
        let ids = try await connection.query(NextChunkIDs(count: Int32(merged.count)))
        for (id, output) in zip(ids, merged) {
            try await connection.execute(
                InsertReplacement(
                    id: id, run: run, ordinal: given.ordinal, output: output, faults: [], tried: nil,
                    source: nil, emptyBody: emptyBody))
        }
        return ids
    }

    /// By dataset the chunks whose rows are appended, and the places of the rows that go.
    private func appended(
        _ batches: [ReplayedBatch], _ connection: PostgresConnection
    ) async throws -> [String: Part] {
        var parts: [String: Part] = [:]
        let batches = batches.filter(\.isWhole)
        guard !batches.isEmpty else { return [:] }
        let merging = Set(batches.flatMap(\.outputs).filter(\.mode.merges).map(\.dataset))
        for given in batches {
            for output in given.batch.outputs {
                guard let chunk = output.chunk, !chunk.mode.merges else { continue }
                let dataset = given.outputs[Int(output.application.output)].dataset
                parts[dataset, default: ([], [])].chunks.append(chunk)
            }
        }
        let tried = Dictionary(
            batches.map { ($0.batchID, $0.batch.chosen.map(Set.init)) }, uniquingKeysWith: { first, _ in first })
        let find = FindComparedPlaces(run: run, pipelineID: pipelineID, batches: Array(tried.keys))
        for (dataset, place) in try await connection.query(find) where !merging.contains(dataset) {
            if let row = place.row, tried[place.batchID]??.contains(row) == false { continue }
            parts[dataset, default: ([], [])].places.append(place)
        }
        return parts
    }
}
