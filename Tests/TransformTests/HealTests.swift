import Postgres
import Records
import TestSupport
import Testing

@testable import Transform

extension TransformFixture {
    /// Lands a batch that is stored but for these records, which are quarantined. Gives the batch.
    func quarantine(
        _ records: [String], bad: [Int32], format: String = "ndjson", header: String = "", ends: [Int32]? = nil
    ) async throws -> Int64 {
        let formats: [String: RecordFormat] = ["ndjson": .ndjson, "csv": .csv, "text": .text]
        var frame = BatchFrame(format: formats[format] ?? .json, header: Array(header.utf8))
        for record in records { frame.append(record: Array(record.utf8)) }
        let batch = Int64(
            try await pool.int(
                """
                with batch as (
                    insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                        request_ids)
                    values (nextval('millrace.batch_id'), 1, \(.text(format)), \(.int4(Int32(records.count))), 10, 10,
                        \(.int4Array(ends ?? [Int32(records.count)])), \(.textArray((ends ?? [0]).map { "\($0)" })))
                    returning id
                )
                insert into landing.payload (batch_id, body) select id, \(.bytes(try frame.encode())) from batch
                returning batch_id
                """))
        try await pool.run(
            "insert into millrace.dataset (workspace_id, name) values (1, 'web') on conflict do nothing")
        try await pool.run(
            """
            insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id, state,
                received, quarantined)
            select \(.int8(batch)), p.id, 0, 1, 1, d.id, 'stored', \(.int4(Int32(records.count))),
                \(.int4(Int32(bad.count)))
            from millrace.pipeline p, millrace.dataset d where p.name = 'web' and d.name = 'web'
            """)
        for row in bad {
            try await pool.run(
                """
                insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors,
                    raw)
                select batch_id, \(.int4(row)), pipeline_id, 0, 1, dataset_id, 'transform', '[{"code": "first"}]',
                    \(.bytes(Array(records[Int(row)].utf8)))
                from millrace.application where batch_id = \(.int8(batch))
                """)
        }
        return batch
    }

    /// Starts a heal as store's route does, and transforms until nothing is queued. Gives the run.
    func heal(_ dataset: String = "web", codes: [String]? = nil) async throws -> Int64 {
        let run = try await pool.int(
            """
            select run from millrace.start_heals((select id from millrace.dataset where name = \(.text(dataset))), null,
                null, \(.optional(codes) { .textArray($0) }), jsonb_strip_nulls(jsonb_build_object('dataset', \(.text(dataset))::text,
                    'codes', to_jsonb(\(.optional(codes) { .textArray($0) })::text[]))), 8, false)
            """)
        try await work {
            try await pool.wait(until: "select count(*) from millrace.run_batch where state = 'queued'", is: 0)
        }
        return Int64(run)
    }

    /// The chunks of runs: what was tried, what became of it, and the ordinals of its rows.
    func healedChunks() async throws -> [String] {
        let found = try await pool.withConnection { connection in
            let result: PostgresResult = try await connection.query(
                """
                select concat_ws(' ', tried::text, received, rows, filtered, quarantined, fault_rows::text,
                    receipt_counts::text), body, raw_bytes from landing.chunk where run is not null order by id
                """
            )
            return try (0..<result.rowCount).map {
                (try result[$0].text(0), try result[$0].bytes(1), try result[$0].int4(2))
            }
        }
        return try found.map { text, body, size in
            let rows = try CopyBinaryRows(try Zstd.decompress(body, limit: Int(size)))
            return "\(text): \((0..<rows.count).map { rows.lineage($0).row })"
        }
    }
}

@Suite("Transform: healing what is quarantined")
struct HealTests {
    @Test("Only the quarantined records are tried, under the current version, and keep their ordinals")
    func tries() async throws {
        try await TransformFixture.run { fixture in
            let batch = try await fixture.quarantine(
                [#"{"n":1}"#, #"{"n":2}"#, #"{"n":3}"#, #"{"n":"x"}"#, #"{"n":5}"#], bad: [1, 2, 3, 4], ends: [2, 5])
            // The record's bytes are the quarantine's: the batch's may have expired.
            try await fixture.pool.run("delete from landing.payload")
            _ = try await fixture.heal()
            #expect(try await fixture.healedChunks() == ["{1,2,3,4} 4 2 1 1 {3} {0,0,0,1,1,0}: [1, 4]"])
            let job = try await fixture.pool.texts(
                "select arguments ->> 'ordinal' || priority from queue.job where kind = 'heal'")
            #expect(job == ["0-1"])
            #expect(
                try await fixture.pool.texts(
                    "select kind || batch from millrace.run_report join millrace.run_batch on run = id") == [
                        "heal\(batch)"
                    ])
        }
    }

    @Test("Records without one of the codes, and those whose bytes were cut, are left alone")
    func chosen() async throws {
        try await TransformFixture.run { fixture in
            _ = try await fixture.quarantine([#"{"n":1}"#, #"{"n":2}"#, #"{"n":4}"#, #"{"n":5}"#], bad: [0, 1, 2, 3])
            try await fixture.pool.run(
                """
                update landing.quarantine set errors = case row when 0 then '[{"code": "other"}]'
                    else '[{"code": "a"}, {"code": "first"}]' end::jsonb, stage = case row when 2 then 'store'
                    else stage end, raw = case row when 2 then '' else raw end
                """)
            _ = try await fixture.heal(codes: ["first", "more"])
            #expect(try await fixture.healedChunks() == ["{1,3} 2 2 0 0 {}: [1, 3]"])
        }
    }

    @Test("CSV records are read with their batch's header row; without it they are dead, and stay")
    func header() async throws {
        try await TransformFixture.run { fixture in
            _ = try await fixture.quarantine(["1,a", "2,b"], bad: [1], format: "csv", header: "n,name")
            _ = try await fixture.heal()
            #expect(try await fixture.healedChunks() == ["{1} 1 1 0 0 {}: [1]"])
            try await fixture.pool.run("update millrace.run set state = 'cancelled'")
            try await fixture.pool.run("delete from landing.payload")
            _ = try await fixture.heal()
            #expect(try await fixture.healedChunks().count == 1)
            let state = try await fixture.pool.texts(
                "select left(error, 11) from millrace.run_batch where state = 'dead'")
            #expect(state == ["raw_expired"])
        }
    }

    @Test("Nothing is left to try: the batch is left as it is, and the run has succeeded")
    func nothing() async throws {
        try await TransformFixture.run { fixture in
            _ = try await fixture.quarantine([#"{"n":1}"#], bad: [0])
            try await fixture.pool.run(
                """
                select run from millrace.start_heals((select id from millrace.dataset where name = 'web'), null, null,
                    null, '{"dataset": "web"}', 8, false)
                """)
            try await fixture.pool.run("delete from landing.quarantine")
            try await fixture.work {
                try await fixture.pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'queued'", is: 0)
            }
            #expect(try await fixture.healedChunks() == [])
            let run = try await fixture.pool.texts("select concat_ws(' ', state, done, dead) from millrace.run_report")
            #expect(run == ["succeeded 1 0"])
        }
    }
}
