import Postgres

/// A chunk without its body, and where it stands.
struct ChunkHead: Sendable, Equatable {
    /// What is to become of the chunk.
    enum Standing: String, Sendable {
        /// Its output waits for it.
        case wanted
        /// Its output is stored, or waits for another chunk: a repeated or overtaken job.
        case settled
        /// Its dataset was removed: the batch is transformed again, which makes a new one.
        case homeless
        /// It was to replace what a later run or version has made meanwhile.
        case superseded
    }

    /// Which batch of which run a chunk is for that replaces an output.
    struct RunPlace: Hashable, Sendable {
        var run: Int64
        var ordinal: Int32
    }

    var id: Int64
    var batchID: Int64
    var pipelineID: Int64
    var version: Int32
    var output: Int16
    var datasetID: Int64
    var mode: LoadMode
    var columns: [String]
    var types: [String]
    var rows: Int32
    /// Of the body before compression.
    var rawBytes: Int32
    var standing: Standing
    /// Nil for a chunk that is an output's first.
    var runPlace: RunPlace?

    /// The output of a pipeline over a batch that a chunk is for.
    struct Place: Hashable, Sendable {
        var batchID: Int64
        var pipelineID: Int64
        var output: Int16
    }

    var place: Place { Place(batchID: batchID, pipelineID: pipelineID, output: output) }
}

/// Looks chunks up, bodies left out.
struct FindChunks: PostgresStatement {
    static let sql = """
        select c.id, c.batch_id, c.pipeline_id, c.version, c.output, c.dataset_id, c.columns, c.types, c.rows,
            c.raw_bytes, case when a.batch_id is null then 'settled'
                when not exists (select 1 from millrace.dataset d where d.id = c.dataset_id) then 'homeless'
                else 'wanted' end, coalesce(c.mode, 'append')
        from landing.chunk c
        left join millrace.application a on a.batch_id = c.batch_id and a.pipeline_id = c.pipeline_id
            and a.output = c.output and a.version = c.version and a.state in ('transformed', 'failed')
        where c.id = any($1)
        order by c.id
        """
    var ids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(ids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> ChunkHead { try ChunkHead(row) }
}

extension ChunkHead {
    /// Reads the columns that `FindChunks` gives.
    init(_ row: PostgresRow) throws(PostgresError) {
        guard let standing = Standing(rawValue: try row.text(10)), let mode = LoadMode(rawValue: try row.text(11))
        else { throw PostgresError(.decode, "a chunk's standing or mode is not known here", doing: "find chunks") }
        self.init(
            id: try row.int8(0), batchID: try row.int8(1), pipelineID: try row.int8(2), version: try row.int4(3),
            output: try row.int2(4), datasetID: try row.int8(5), mode: mode, columns: try row.textArray(6),
            types: try row.textArray(7), rows: try row.int4(8), rawBytes: try row.int4(9), standing: standing)
    }
}

/// The compressed bodies of chunks.
struct FindChunkBodies: PostgresStatement {
    static let sql = "select id, body from landing.chunk where id = any($1)"
    var ids: [Int64]

    var parameters: [PostgresValue] { [.int8Array(ids)] }

    static func decode(_ row: PostgresRow) throws(PostgresError) -> (id: Int64, body: [UInt8]) {
        (try row.int8(0), try row.bytes(1))
    }
}
