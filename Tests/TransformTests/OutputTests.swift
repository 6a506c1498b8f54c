import JSON
import Postgres
import Queue
import TestSupport
import Testing

@testable import Transform

extension TransformFixture {
    /// Lands a batch as ingest does, cut into requests, with its job; gives its id.
    func accept(_ records: [String], requests: [Int32]? = nil) async throws -> Int64 {
        let batch = try await land([records])[0]
        if let requests {
            try await pool.run(
                """
                update millrace.batch set receipt_ends = \(.int4Array(requests)) where id = \(.int8(batch))
                """)
        }
        let pipeline = try await pipeline()
        try await pool.run(
            """
            insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
            values (\(.int8(batch)), \(.int8(pipeline)), 0, 1, 'accepted', \(.int4(Int32(records.count))))
            """)
        try await enqueue(batch)
        return batch
    }

    func enqueue(_ batch: Int64) async throws {
        let pipeline = try await pipeline()
        try await pool.run(
            """
            select queue.enqueue('transform', 'transform', 1, array[jsonb_build_object('batch', \(.int8(batch)),
                'pipeline', \(.int8(pipeline)))])
            """)
    }

    /// Gives the pipeline another version.
    func put(_ steps: String) async throws {
        let definition = "{\"source\": \"events\", \"steps\": [\(steps)], \"target\": {\"dataset\": \"web\"}}"
        let pipeline = try await pipeline()
        let statement = ReplacePipeline(
            id: pipeline, sourceID: 1, definition: Array(definition.utf8), fingerprint: Array(steps.utf8))
        _ = try await pool.withConnection { try await $0.execute(statement) }
    }

    /// Works until no job of queue `transform` is left but dead letters.
    func workAll() async throws {
        try await work {
            try await pool.wait(
                until: """
                    select count(*) from queue.job j where j.kind = 'transform' and not exists (
                        select from queue.outcome o where o.job = j.id and o.state in ('succeeded', 'dead'))
                    """, is: 0)
        }
    }

    func ledger() async throws -> [String] {
        try await pool.texts(
            """
            select concat_ws(' ', a.output, d.name, a.state, a.version, a.received, a.filtered, a.quarantined,
                coalesce(a.receipt_received::text, '-'), coalesce(a.receipt_counts::text, '-'))
            from millrace.application a left join millrace.dataset d on d.id = a.dataset_id
            order by a.batch_id, a.output
            """)
    }

    func chunks() async throws -> [String] {
        try await pool.texts(
            """
            select concat_ws(' ', c.output, d.name, c.version, c.rows, c.columns::text)
            from landing.chunk c join millrace.dataset d on d.id = c.dataset_id order by c.id
            """)
    }

    func quarantine() async throws -> [String] {
        try await pool.texts(
            """
            select concat_ws(' ', q.output, d.name, q.version, q.row, q.stage, q.errors->0->>'code')
            from landing.quarantine q join millrace.dataset d on d.id = q.dataset_id order by q.batch_id, q.row
            """)
    }
}

@Suite("Transform: several outputs of a pipeline")
struct OutputTests {
    static let routes = """
        {"cast": {"n": "int8"}}, {"filter": "n <> 3"},
        {"route": [{"when": "n >= 100", "dataset": "big"}, {"when": "n >= 1000", "dataset": "never"}]},
        {"derive": {"twice": "n * 2"}}
        """
    static let records = [
        #"{"n": 1}"#, #"{"n": 100}"#, #"{"n": 3}"#, "bad", #"{"n": 200}"#, #"{"n": "x"}"#, #"{"n": 7}"#,
    ]

    @Test("Each output has its chunk, its row of the ledger and its quarantine; counts add up for each request")
    func outputs() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.put(Self.routes)
            // A dataset that takes no column but `n`, of a type that one of its records does not have.
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, 'big', '{"on_type_mismatch": "quarantine", "on_new_column": "quarantine"}', true)
                """)
            try await pool.run(
                """
                insert into millrace.dataset_column (dataset_id, ordinal, name, type, declared, since_version)
                select id, 1, 'n', 'int8', true, 1 from millrace.dataset where name = 'big'
                """)
            _ = try await fixture.accept(Self.records + [#"{"n": 300, "more": 1}"#], requests: [3, 4, 8])
            try await fixture.workAll()
            #expect(
                try await fixture.ledger() == [
                    "0 web transformed 2 5 1 2 {2,1,2} {1,0,0,0,1,0,0,1,0}",
                    "1 big transformed 2 3 0 1 {1,0,2} {0,0,0,0,0,0,0,1,0}",
                    "2 never stored 2 0 0 0 {0,0,0} -",
                ])
            #expect(try await fixture.chunks() == ["0 web 2 2 {n,twice}", "1 big 2 2 {n,_extra}"])
            #expect(
                try await fixture.quarantine() == [
                    "0 web 2 3 decode invalid_json", "0 web 2 5 transform invalid_cast",
                    "1 big 2 7 transform unknown_column",
                ])
            #expect(try await pool.int("select count(*) from queue.job where kind = 'load'") == 2)
        }
    }

    @Test("A batch that is transformed again leaves nothing of the first time, and takes the current version")
    func again() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.put(Self.routes)
            let batch = try await fixture.accept(Self.records)
            try await fixture.workAll()
            #expect(try await fixture.quarantine().count == 2)
            // As store sends it back.
            try await pool.run("update millrace.application set state = 'accepted'")
            try await fixture.put(#"{"filter": "n <> '3'"}"#)
            try await fixture.enqueue(batch)
            try await fixture.workAll()
            #expect(try await fixture.ledger() == ["0 web transformed 3 7 1 1 - -"])
            #expect(try await fixture.quarantine() == ["0 web 3 3 decode invalid_json"])
        }
    }

    @Test("What is stored of a batch stays; the rest is made by the same version, whatever the current one is")
    func rest() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.put(Self.routes)
            let batch = try await fixture.accept(Self.records)
            try await fixture.workAll()
            let before = try await fixture.quarantine()
            try await pool.run("update millrace.application set state = 'stored' where output = 0")
            try await pool.run("update millrace.application set state = 'accepted' where output = 1")
            try await fixture.put(#"{"filter": "false"}"#)
            try await fixture.enqueue(batch)
            try await fixture.workAll()
            #expect(
                try await fixture.ledger() == [
                    "0 web stored 2 5 1 2 {5} -", "1 big transformed 2 2 0 0 {2} -", "2 never stored 2 0 0 0 {0} -",
                ])
            #expect(try await fixture.chunks().map { $0.prefix(1) } == ["0", "1", "1"])
            #expect(try await fixture.quarantine() == before)
        }
    }

    @Test("Outputs that a replay made meanwhile are left: nothing of the job is written")
    func overtaken() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.put(Self.routes)
            let batch = try await fixture.accept(Self.records)
            let pipeline = try await fixture.pipeline()
            let standing = StandingOutput(batchID: batch, pipelineID: pipeline, output: 0, version: 2)
            let hold = HoldOutputs(outputs: [standing])
            #expect(try await pool.withConnection { try await $0.execute(hold) } == 0)
            try await pool.run("update millrace.application set state = 'stored', version = 2")
            #expect(try await pool.withConnection { try await $0.execute(hold) } == 1)
            let update = ApplicationUpdate(
                batchID: batch, pipelineID: pipeline, output: 1, version: 2, datasetID: 1, isFinished: false,
                received: 1, filtered: 0, quarantined: 0, duplicates: 0, receiptReceived: [1], receiptCounts: nil)
            let insert = InsertApplications(updates: [update])
            #expect(try await pool.withConnection { try await $0.execute(insert) } == 1)
            #expect(try await pool.withConnection { try await $0.execute(insert) } == 0)
        }
    }

    @Test("A replay hands over a chunk for each output, empty ones too, and one job for each batch")
    func replay() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.put(Self.routes)
            let ids = try await fixture.land([Self.records, [#"{"n": 5}"#]])
            let run = try await fixture.start(RunTests.always)
            try await fixture.work {
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 2)
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
            }
            let chunks = try await pool.texts(
                """
                select concat_ws(' ', batch_id, output, rows, received, filtered, quarantined, receipt_received::text,
                    fault_rows::text) from landing.chunk order by id
                """)
            #expect(
                chunks == [
                    "\(ids[0]) 0 2 5 1 2 {5} {3,5}", "\(ids[0]) 1 2 2 0 0 {2} {}", "\(ids[0]) 2 0 0 0 0 {0} {}",
                    "\(ids[1]) 0 1 1 0 0 {1} {}", "\(ids[1]) 1 0 0 0 0 {0} {}", "\(ids[1]) 2 0 0 0 0 {0} {}",
                ])
            let jobs = try await pool.texts(
                """
                select concat_ws(' ', j.arguments->>'run', j.arguments->>'ordinal',
                    (select string_agg(c.batch_id || '.' || c.output, ',' order by i.place) from landing.chunk c
                    join jsonb_array_elements_text(j.arguments->'chunks') with ordinality i (id, place)
                    on i.id::int8 = c.id)) from queue.job j where kind = 'replace' order by id
                """)
            #expect(
                jobs == [
                    "\(run) 0 \(ids[0]).0,\(ids[0]).1,\(ids[0]).2", "\(run) 1 \(ids[1]).0,\(ids[1]).1,\(ids[1]).2",
                ])
        }
    }
}
