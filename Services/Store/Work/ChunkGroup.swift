import Queue

/// A job with the chunks that it is about: one, or those of all outputs that a pipeline makes of a batch.
struct ChunkLoad: Sendable {
    var job: Job
    /// Not empty.
    var chunks: [ChunkHead]
}

/// Chunks that are loaded in one transaction, no more bytes than a limit.
struct ChunkGroup: Sendable {
    /// What chunks have in common that are loaded by one COPY.
    struct Key: Hashable, Sendable {
        var datasetID: Int64
        var columns: [String]
        var types: [String]
        var mode: LoadMode
        /// Where rows are merged: their lineage then names the chunk. Nil where they are appended.
        var pipelineID: Int64?
        /// The same of runs: each fills a table of its own.
        var run: Int64?

        init(_ chunk: ChunkHead) {
            datasetID = chunk.datasetID
            columns = chunk.columns
            types = chunk.types
            mode = chunk.mode
            pipelineID = mode == .append ? nil : chunk.pipelineID
            run = mode == .append ? nil : chunk.runPlace?.run
        }
    }

    /// The chunks of one COPY.
    struct Part: Sendable {
        var key: Key
        var chunks: [ChunkHead]
    }

    /// Which loads may share a transaction: those of one dataset and columns, or those with several chunks.
    private enum Kind: Hashable {
        case single(Key)
        case several(workspaceID: Int64)

        init(_ load: ChunkLoad) {
            self = load.chunks.count == 1 ? .single(Key(load.chunks[0])) : .several(workspaceID: load.job.workspace)
        }
    }

    var workspaceID: Int64
    var loads: [ChunkLoad] = []
    var bytes = 0

    var jobs: [Job] { loads.map(\.job) }
    var chunks: [ChunkHead] { loads.flatMap(\.chunks) }

    /// The chunks that have rows, by what one COPY takes; in an order that is the same for all who write to the
    /// datasets.
    var parts: [Part] {
        var parts: [Part] = []
        var places: [Key: Int] = [:]
        for chunk in chunks where chunk.rows > 0 {
            let key = Key(chunk)
            if let place = places[key] {
                parts[place].chunks.append(chunk)
            } else {
                places[key] = parts.count
                parts.append(Part(key: key, chunks: [chunk]))
            }
        }
        return parts.sorted { $0.key.datasetID < $1.key.datasetID }
    }

    /// Sorts loads into groups, in order. Each group has at most `limit` bytes before compression, or one load.
    static func groups(of loads: [ChunkLoad], limit: Int) -> [ChunkGroup] {
        var closed: [ChunkGroup] = []
        var open: [Kind: ChunkGroup] = [:]
        var order: [Kind] = []
        for load in loads {
            let kind = Kind(load)
            let size = load.chunks.reduce(0) { $0 + Int($1.rawBytes) }
            if let group = open[kind], group.bytes + size > limit {
                closed.append(group)
                open[kind] = nil
                order.removeAll { $0 == kind }
            }
            if open[kind] == nil { order.append(kind) }
            open[kind, default: ChunkGroup(workspaceID: load.job.workspace)].add(load)
        }
        return closed + order.compactMap { open[$0] }
    }

    /// The same loads, each in a group of its own.
    var singles: [ChunkGroup] {
        loads.map { load in
            var group = ChunkGroup(workspaceID: workspaceID)
            group.add(load)
            return group
        }
    }

    /// Takes out the load that a chunk belongs to.
    mutating func remove(chunk id: Int64) -> ChunkLoad? {
        guard let place = loads.firstIndex(where: { $0.chunks.contains { $0.id == id } }) else { return nil }
        let load = loads.remove(at: place)
        bytes -= load.chunks.reduce(0) { $0 + Int($1.rawBytes) }
        return load
    }

    private mutating func add(_ load: ChunkLoad) {
        loads.append(load)
        bytes += load.chunks.reduce(0) { $0 + Int($1.rawBytes) }
    }
}
