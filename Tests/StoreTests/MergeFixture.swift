import Catalog
import Postgres
import Queue
import Records
import TestSupport

@testable import Store

/// A row of a dataset `k int8, v int8, name text`.
struct MergeRow: Sendable {
    var key: Int64?
    var version: Int64?
    var name: String
    var deletes = false
}

/// What transform hands over of one batch, for a dataset whose rows are merged by its key.
struct MergeBatch: Sendable {
    var dataset: String
    var rows: [MergeRow]
    var mode = LoadMode.upsert
    /// Records of each coalesced request.
    var requests: [Int]?
    /// Makes the chunk say which rows delete, though none may.
    var marksDeletions = false
}

extension PostgresPool {
    /// Makes a dataset with a source of its name.
    func makeDataset(_ name: String, key: String = "k", version: String? = "v") async throws {
        let versionColumn = version.map { "\"\($0)\"" } ?? "null"
        let definition = #"{"primary_key": ["\#(key)"], "version_column": \#(versionColumn)}"#
        try await withTransaction { connection in
            try await connection.execute(EnsureSource(workspaceID: 1, name: name))
            let id = try await connection.query(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, \(.text(name)), \(.text(definition))::text::jsonb, true) returning id
                """)[0].int8(0)
            try await connection.query(
                """
                select count(*) from millrace.agree_columns(\(.int8(id)), '{k,v,name}', '{int8,int8,text}', 200)
                """)
        }
    }

    /// Lands a batch as ingest and transform do, without a job; gives the chunk's id.
    func handOver(_ given: MergeBatch) async throws -> Int64 {
        let columns = MergeColumns(given)
        return try await withTransaction { connection in
            let batch = try await connection.query(columns.landBatch(given))[0].int8(0)
            let encoded = try CopyBinaryEncoder(batch: batch, output: 0).encode(columns.rows)
            let mode: String? = given.mode == .append ? nil : given.mode.rawValue
            return try await connection.query(
                """
                with application as (
                    insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id,
                        state, received, transformed_at)
                    select \(.int8(batch)), p.id, 0, p.source_id, 1, d.id, 'transformed',
                        \(.int4(Int32(given.rows.count))), now()
                    from millrace.pipeline p join millrace.source s on s.id = p.source_id
                    join millrace.dataset d on d.name = s.name
                    where s.name = \(.text(given.dataset))
                    returning pipeline_id, dataset_id
                )
                insert into landing.chunk (id, batch_id, pipeline_id, version, output, dataset_id, columns, types,
                    rows, raw_bytes, body, mode)
                select nextval('landing.chunk_id'), \(.int8(batch)), pipeline_id, 1, 0, dataset_id,
                    \(.textArray(columns.names)), \(.textArray(columns.types)),
                    \(.int4(Int32(given.rows.count))), \(.int4(Int32(encoded.count))),
                    \(.bytes(try Zstd.compress(encoded))), \(.optional(mode) { .text($0) })
                from application returning id
                """)[0].int8(0)
        }
    }

    /// Makes a load job for each chunk, in this order.
    func load(_ chunks: [Int64]) async throws {
        try await run(
            """
            select queue.enqueue('store', 'load', 1,
                array(select jsonb_build_object('chunk', c) from unnest(\(.int8Array(chunks))) with ordinality u (c, n)
                    order by n))
            """)
    }

    /// Until each chunk's output is stored.
    func waitStored(_ chunks: [Int64]) async throws {
        try await wait(
            until: """
                select count(*) from landing.chunk c join millrace.application a on a.batch_id = c.batch_id
                    and a.pipeline_id = c.pipeline_id
                where c.id = any(\(.int8Array(chunks))) and a.state <> 'stored'
                """, is: 0, within: .seconds(60))
    }

    /// `stored duplicates quarantined receipt_counts` of each batch of a source, in their order.
    func counted(_ source: String) async throws -> [String] {
        try await texts(
            """
            select concat_ws(' ', a.stored, a.duplicates, a.quarantined, a.receipt_counts::text)
            from millrace.application a join millrace.source s on s.id = a.source_id
            where s.name = \(.text(source)) order by a.batch_id
            """)
    }
}

/// The batch's raw and columnar forms.
private struct MergeColumns {
    let rows: RecordBatch
    let frame: [UInt8]
    let names: [String]
    let types: [String]

    init(_ given: MergeBatch) {
        var frame = BatchFrame(format: .ndjson)
        for row in given.rows { frame.append(record: Array("{\"name\": \"\(row.name)\"}".utf8)) }
        self.frame = (try? frame.encode()) ?? []
        func integers(_ values: [Int64?]) -> Column {
            Column(.int8, .int64(values.map { $0 ?? 0 }), validity: values.map { $0 == nil ? 0 : 1 })
        }
        var columns = [
            NamedColumn("k", integers(given.rows.map(\.key))), NamedColumn("v", integers(given.rows.map(\.version))),
            NamedColumn("name", Column(.text, .bytes(ByteColumn(given.rows.map(\.name))))),
        ]
        if given.marksDeletions || given.rows.contains(where: \.deletes) {
            columns.append(NamedColumn("_deleted", Column(.bool, .bool(given.rows.map { $0.deletes ? 1 : 0 }))))
        }
        names = columns.map(\.name)
        types = Array(["int8", "int8", "text", "bool"].prefix(columns.count))
        rows = RecordBatch(rows: given.rows.indices.map { Int32($0) }, columns: columns)
    }

    func landBatch(_ given: MergeBatch) -> PostgresQuery {
        var ends: [Int32] = []
        for count in given.requests ?? [given.rows.count] { ends.append((ends.last ?? 0) + Int32(count)) }
        return """
            with batch as (
                insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                    request_ids)
                select nextval('millrace.batch_id'), id, 'ndjson', \(.int4(Int32(given.rows.count))), 1, 1,
                    \(.int4Array(ends)), \(.textArray(ends.map { "request-\($0)" }))
                from millrace.source where name = \(.text(given.dataset))
                returning id
            )
            insert into landing.payload (batch_id, body) select id, \(.bytes(frame)) from batch returning batch_id
            """
    }
}

/// The same sequence for the same seed.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
