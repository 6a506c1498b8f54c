import Queue

/// Chunks that are loaded by one COPY: of one dataset, with the same columns and mode, no more bytes than a limit.
struct ChunkGroup: Sendable {
    /// What chunks of one group have in common.
    struct Key: Hashable, Sendable {
        var datasetID: Int64
        var columns: [String]
        var types: [String]
        var mode = LoadMode.append
        /// Where rows are merged: their lineage then names the chunk. Nil where they are appended.
        var pipelineID: Int64?
        /// The same of runs: each fills a table of its own.
        var run: Int64?
    }

    var key: Key
    var workspaceID: Int64
    var jobs: [Job] = []
    var chunks: [ChunkHead] = []
    var bytes = 0

    /// Of those whose rows fill a table beside the dataset's.
    var run: Int64? { chunks.first?.runPlace?.run }

    /// Of all chunks.
    var rows: Int { chunks.reduce(0) { $0 + Int($1.rows) } }

    /// Sorts chunks into groups, in order. Each group has at most `limit` bytes before compression, or one chunk.
    static func groups(of loads: [(job: Job, chunk: ChunkHead)], limit: Int) -> [ChunkGroup] {
        var closed: [ChunkGroup] = []
        var open: [Key: ChunkGroup] = [:]
        var order: [Key] = []
        for (job, chunk) in loads {
            let key = Key(
                datasetID: chunk.datasetID, columns: chunk.columns, types: chunk.types, mode: chunk.mode,
                pipelineID: chunk.mode == .append ? nil : chunk.pipelineID,
                run: chunk.mode == .append ? nil : chunk.runPlace?.run)
            let size = Int(chunk.rawBytes)
            if let group = open[key], group.bytes + size > limit {
                closed.append(group)
                open[key] = nil
                order.removeAll { $0 == key }
            }
            if open[key] == nil { order.append(key) }
            open[key, default: ChunkGroup(key: key, workspaceID: job.workspace)].add(job, chunk, size)
        }
        return closed + order.compactMap { open[$0] }
    }

    /// The same chunks, each in a group of its own.
    var singles: [ChunkGroup] {
        zip(jobs, chunks).map { job, chunk in
            var group = ChunkGroup(key: key, workspaceID: workspaceID)
            group.add(job, chunk, Int(chunk.rawBytes))
            return group
        }
    }

    private mutating func add(_ job: Job, _ chunk: ChunkHead, _ size: Int) {
        jobs.append(job)
        chunks.append(chunk)
        bytes += size
    }
}
