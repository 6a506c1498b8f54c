import Postgres
import Queue
import TestSupport
import Testing

@testable import Transform

extension TransformFixture {
    /// The pipelines `web` and `other` route to `eu` by a key, in different orders; the first merges its rest into
    /// `main`, the second appends it to `rest`.
    fileprivate func putRouted(_ lookup: String = "") async throws {
        for name in ["eu", "main"] {
            try await pool.run(
                """
                insert into millrace.dataset (workspace_id, name, definition, declared)
                values (1, \(.text(name)), '{"primary_key": ["id"]}', true)
                """)
            try await pool.run(
                """
                select count(*) from millrace.agree_columns((select id from millrace.dataset
                    where name = \(.text(name))), '{id,kind}', '{int8,text}', 200)
                """)
            try await pool.run("update millrace.dataset_column set nullable = false where name = 'id'")
        }
        let route = #"{"route": [{"when": "kind = 'eu'", "dataset": "eu", "mode": "upsert"}]}"#
        try await define(
            "web",
            """
            {"source": "events", "steps": [{"route": [{"when": "kind = 'log'", "dataset": "log"},
                {"when": "kind = 'eu'", "dataset": "eu", "mode": "upsert"}]}],
             "target": {"dataset": "main", "mode": "upsert"}}
            """)
        try await pool.withConnection { connection in
            try await connection.execute(
                InsertPipeline(
                    workspaceID: 1, name: "other", sourceID: 1,
                    definition: Array(
                        """
                        {"source": "events", "steps": [\(lookup)\(route)], "target": {"dataset": "rest"}}
                        """.utf8), fingerprint: [2]))
        }
    }

    fileprivate func define(_ pipeline: String, _ definition: String) async throws {
        try await pool.run(
            """
            update millrace.pipeline_version set definition = \(.text(definition))::text::json
            where pipeline_id = (select id from millrace.pipeline where name = \(.text(pipeline)))
            """)
    }

    /// Says that a pipeline has stored a batch: outputs by their numbers, each in a dataset.
    fileprivate func store(_ batch: Int64, _ pipeline: String, _ outputs: [(Int16, String)]) async throws {
        for (output, dataset) in outputs {
            try await pool.run(
                """
                insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id, state,
                    received, stored)
                select \(.int8(batch)), p.id, \(.int2(output)), 1, 1, d.id, 'stored', 1, 1
                from millrace.pipeline p left join millrace.dataset d on d.name = \(.text(dataset))
                where p.name = \(.text(pipeline))
                """)
        }
    }
}

@Suite("Transform: replay of outputs that are merged")
struct RoutedReplayTests {
    private static let records = [
        #"{"id": 1, "kind": "us"}"#, #"{"id": 2, "kind": "eu"}"#, #"{"id": 3, "kind": "log"}"#,
        #"{"kind": "eu"}"#,
    ]

    @Test("The run fills all datasets that the pipeline merges into, and has the others' outputs that lie in them")
    func parts() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.putRouted()
            let ids = try await fixture.land([Self.records, Self.records])
            try await fixture.store(ids[0], "web", [(0, "main"), (1, ""), (2, "eu")])
            try await fixture.store(ids[1], "other", [(0, ""), (1, "eu")])
            let run = try await fixture.start(RunTests.always)
            let sets = try await pool.texts(
                """
                select concat_ws(' ', d.name, x.mode, x.targets, x.run = \(.int8(run))) from millrace.rebuild x
                join millrace.dataset d on d.id = x.dataset_id order by d.name
                """)
            #expect(sets == ["eu upsert 2 t", "main upsert 2 t"])
            let parts = try await pool.texts(
                """
                select concat_ws(' ', p.ordinal, p.batch_id, l.name, coalesce(p.outputs::text, 'all'))
                from millrace.rebuild_part p join millrace.pipeline l on l.id = p.pipeline_id order by p.ordinal
                """)
            #expect(
                parts == ["0 \(ids[0]) web all", "1 \(ids[1]) web all", "2 \(ids[1]) other {1}"])
            // One that shares a dataset is refused, though its batches are none of the first one's pipeline.
            guard case .overlap(let other) = try await fixture.refusal(RunTests.always), other == run else {
                Issue.record("a second rebuild of the datasets was made")
                return
            }
            try await fixture.work {
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 3)
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
            }
            let chunks = try await pool.texts(
                """
                select concat_ws(' ', c.ordinal, c.output, d.name, coalesce(c.mode, 'append'), c.rows,
                    cardinality(c.fault_rows))
                from landing.chunk c join millrace.dataset d on d.id = c.dataset_id order by c.ordinal, c.output
                """)
            let whole = ["0 main upsert 1 0", "1 log append 1 0", "2 eu upsert 1 1"]
            #expect(chunks == whole.map { "0 " + $0 } + whole.map { "1 " + $0 } + ["2 1 eu upsert 1 1"])
            let jobs = try await pool.texts(
                """
                select jsonb_array_length(arguments -> 'chunks')::text from queue.job where kind = 'rebuild' order by id
                """)
            #expect(jobs.sorted() == ["1", "3", "3"])
        }
    }

    @Test("What would be lost, or might move, is refused")
    func refusals() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.putRouted(
                #"{"lookup": {"dataset": "main", "on": {"id": "id"}, "columns": {"kind": "k"}, "missing": "null"}}, "#)
            let ids = try await fixture.land([Self.records, Self.records])
            try await fixture.store(ids[0], "web", [(0, "main"), (1, ""), (2, "eu")])
            func reason(_ request: ReplayRequest) async throws -> String {
                guard case .notRebuilt(let reason) = try await fixture.refusal(request) else { return "" }
                return reason
            }
            #expect(try await reason(RunTests.named([ids[1]])).contains("as a whole"))
            try await fixture.store(ids[1], "other", [(0, ""), (1, "eu")])
            #expect(try await reason(RunTests.always).contains("the pipeline other looks up what it routes"))
            // All of its outputs are rebuilt: it does not matter where records go.
            try await pool.run("delete from millrace.application where output = 0 and batch_id = \(.int8(ids[1]))")
            #expect(try await reason(RunTests.always) == "")
            #expect(try await pool.int("select count(*) from millrace.rebuild") == 2)
        }
    }

    @Test(
        "What is stored of a batch of which an output is on its way, or has failed, is read again as it was made",
        arguments: ["transformed", "failed"])
    func storedInPart(state: String) async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.putRouted()
            try await pool.run(
                """
                insert into millrace.pipeline_version (pipeline_id, version, definition, fingerprint)
                select pipeline_id, 2, definition, fingerprint from millrace.pipeline_version
                where pipeline_id = (select id from millrace.pipeline where name = 'web')
                """)
            try await pool.run("update millrace.pipeline set version = 2 where name = 'web'")
            let ids = try await fixture.land([Self.records, Self.records, Self.records])
            for id in ids { try await fixture.store(id, "web", [(0, "main"), (1, ""), (2, "eu")]) }
            try await pool.run(
                """
                update millrace.application set state = \(.text(state))
                where batch_id = \(.int8(ids[1])) and output = 1 or batch_id = \(.int8(ids[2]))
                """)
            _ = try await fixture.start(RunTests.always)
            let parts = try await pool.texts(
                """
                select concat_ws(' ', ordinal, batch_id, version, coalesce(outputs::text, 'all'))
                from millrace.rebuild_part order by ordinal
                """)
            #expect(parts == ["0 \(ids[0]) 2 all", "1 \(ids[1]) 1 {0,2}"])
            try await fixture.work {
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 2)
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
            }
            let chunks = try await pool.texts(
                "select concat_ws(' ', ordinal, output, version) from landing.chunk order by ordinal, output")
            #expect(chunks == ["0 0 2", "0 1 2", "0 2 2", "1 0 1", "1 2 1"])
        }
    }

    @Test("Where such a batch's records might move, the request is to be repeated")
    func mightMove() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.putRouted()
            try await fixture.define(
                "web",
                """
                {"source": "events", "steps": [
                    {"lookup": {"dataset": "main", "on": {"id": "id"}, "columns": {"kind": "k"}, "missing": "null"}},
                    {"route": [{"when": "k = 'eu'", "dataset": "eu", "mode": "upsert"}]}],
                 "target": {"dataset": "main", "mode": "upsert"}}
                """)
            let ids = try await fixture.land([Self.records])
            try await fixture.store(ids[0], "web", [(0, "main"), (1, "eu")])
            try await pool.run("update millrace.application set state = 'transformed' where output = 1")
            guard case .notRebuilt(let reason) = try await fixture.refusal(RunTests.always) else {
                Issue.record("records might move, and the run was made")
                return
            }
            #expect(reason.contains("repeat the request once all are stored"))
        }
    }
}
