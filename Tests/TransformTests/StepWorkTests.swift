import JSON
import Postgres
import Queue
import Records
import TestSupport
import Testing

@testable import Transform

/// Steps in the worker: what they count, what fails a batch, and the salt, on a real database.
@Suite struct StepWorkTests {
    private func work(_ fixture: TransformFixture, steps: String, batches: [[String]]) async throws {
        let definition = Array(
            #"{"source": "events", "steps": [\#(steps)], "target": {"dataset": "web"}}"#.utf8)
        try await fixture.pool.run(
            """
            update millrace.pipeline_version set definition = \(.json(definition))
            where pipeline_id = (select id from millrace.pipeline where name = 'web')
            """)
        let ids = try await fixture.land(batches)
        try await fixture.pool.run(
            """
            insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received)
            select b.id, p.id, 0, 1, 'accepted', b.records from millrace.batch b, millrace.pipeline p
            where p.name = 'web' and b.id = any(\(.int8Array(ids)))
            """)
        try await fixture.pool.run(
            """
            select queue.enqueue('transform', 'transform', 1, array_agg(
                jsonb_build_object('batch', b.id, 'pipeline', p.id))) from millrace.batch b, millrace.pipeline p
            where p.name = 'web'
            """)
        try await fixture.work {
            try await fixture.pool.wait(
                until: "select count(*) from millrace.application where state = 'accepted'", is: 0)
        }
    }

    private func ledger(_ fixture: TransformFixture) async throws -> [String] {
        try await fixture.pool.texts(
            """
            select concat_ws(' ', a.state, a.filtered, a.quarantined, a.duplicates, coalesce(c.rows, 0), a.error)
            from millrace.application a left join landing.chunk c using (batch_id, pipeline_id, output)
            order by a.batch_id
            """)
    }

    @Test func countsOfRowsThatBecomeMoreAndFewer() async throws {
        try await TransformFixture.run { fixture in
            try await work(
                fixture,
                steps: #"{"explode": "n"}, {"cast": {"n": "int8"}}, {"filter": "n <> 0"}, {"dedupe": {"by": ["n"]}}"#,
                batches: [
                    [#"{"n": [1, 2, 0]}"#, #"{"n": [0]}"#, #"{"n": [2, 1]}"#, #"{"n": [3, "x"]}"#, #"{"n": []}"#],
                    [#"{"n": [0, 0]}"#],
                ])
            #expect(try await ledger(fixture) == ["transformed 2 1 1 2", "stored 1 0 0 0"])
            #expect(try await fixture.pool.texts("select row::text from landing.quarantine") == ["3"])
        }
    }

    @Test func tooManyFailuresFailTheBatchAndItsReceiptAndNothingElse() async throws {
        try await TransformFixture.run { fixture in
            try await work(
                fixture, steps: #"{"expect": {"small": "n::int8 < 10"}, "max_failed": "25%"}"#,
                batches: [
                    [#"{"n": 1}"#, #"{"n": 50}"#, #"{"n": 60}"#],
                    [#"{"n": 1}"#, #"{"n": 2}"#, #"{"n": 3}"#, #"{"n": 70}"#],
                ])
            let message = """
                too_many_failed: steps[0].expect: 2 of 3 rows fail, more than max_failed 25%; small: 2
                """
            #expect(try await ledger(fixture) == ["failed 0 0 0 0 \(message)", "transformed 0 1 0 3"])
            #expect(
                try await fixture.pool.texts("select batch_id::text || ' ' || row from landing.quarantine").count == 1)
            let dead = try await fixture.pool.texts("select error from queue.dead")
            #expect(dead.count == 1 && dead[0].contains(message), "\(dead)")
        }
    }

    @Test func aReplayShowsTheSame() async throws {
        try await TransformFixture.run { fixture in
            try await work(fixture, steps: "", batches: [[#"{"n": 1}"#, #"{"n": 50}"#], [#"{"n": 1}"#]])
            let definition = Array(
                #"""
                {"source": "events", "steps": [{"expect": {"e": "n::int8 < 9"}, "max_failed": 0}],
                 "target": {"dataset": "web"}}
                """#
                .utf8)
            try await fixture.pool.run(
                "update millrace.pipeline_version set definition = \(.json(definition)) where version = 1")
            let ids = try await fixture.pool.texts("select id::text from millrace.batch order by id")
                .compactMap { Int64($0) }
            let run = try await fixture.start(ReplayRequest(batches: .named(ids), json: .null))
            try await fixture.work {
                try await fixture.pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'queued'", is: 0)
            }
            let batches = try await fixture.pool.texts(
                "select concat_ws(' ', state, error) from millrace.run_batch where run = \(.int8(run)) order by ordinal"
            )
            #expect(
                batches == [
                    "dead too_many_failed: steps[0].expect: 1 of 2 rows fail, more than max_failed 0; e: 1",
                    "transformed",
                ])
        }
    }

    @Test func aWorkspaceHasOneSaltForAllAndForGood() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.pool.run(
                """
                insert into millrace.workspace (name, schema_name, query_role)
                values ('other', 'ws_other', 'millrace_ws_other')
                """)
            let pool = fixture.pool
            let salts = try await withThrowingTaskGroup(of: [UInt8].self) { group in
                for _ in 0..<8 { group.addTask { try await WorkspaceSalts(pool: pool).salt(of: 1) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let other = try await WorkspaceSalts(pool: pool).salt(of: 2)
            #expect(Set(salts).count == 1 && salts[0].count == 32 && other.count == 32 && other != salts[0])
            #expect(try await pool.int("select count(*) from millrace.mask_salt") == 2)
            await #expect(throws: PostgresError.self) { try await WorkspaceSalts(pool: pool).salt(of: 3) }
        }
    }

    @Test func theWorkerMasksWithTheWorkspacesSalt() async throws {
        try await TransformFixture.run { fixture in
            try await work(fixture, steps: #"{"mask": {"m": "sha256"}}"#, batches: [[#"{"m": "ada"}"#]])
            let salt = try await WorkspaceSalts(pool: fixture.pool).salt(of: 1)
            var wanted: [UInt8] = []
            KeyedDigest(key: salt).appendHex(of: Array("ada".utf8).span, into: &wanted)
            let body = try await fixture.pool.withConnection {
                try await $0.query("select body, raw_bytes from landing.chunk" as PostgresQuery)[0]
            }
            let rows = try Zstd.decompress(try body.bytes(0), limit: Int(try body.int4(1)))
            #expect(String(decoding: rows, as: UTF8.self).contains(String(decoding: wanted, as: UTF8.self)))
        }
    }
}
