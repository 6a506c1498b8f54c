import HTTP
import JSON
import Postgres
import Queue
import TestSupport
import Testing

@testable import Transform

@Suite("Transform: runs and replay")
struct RunTests {
    static let always = ReplayRequest(batches: .received(.min..<(.max)), json: [:])

    static func named(_ ids: [Int64]) -> ReplayRequest { ReplayRequest(batches: .named(ids), json: [:]) }

    static func faults(_ body: JSONValue) -> [String] {
        do {
            _ = try ReplayRoute.decode(body)
            return []
        } catch let faults as FieldFaults {
            return faults.faults.map(\.path)
        } catch {
            return ["\(error)"]
        }
    }

    @Test("A request is a span of time or a list of batches, and every mistake has its path")
    func requests() throws {
        let from: JSONValue = "2026-01-01T00:00:00Z"
        let to: JSONValue = "2026-01-01T01:00:00+01:00"
        let later: JSONValue = "2026-01-01T00:00:00.000001Z"
        #expect(Self.faults([:]) == ["from", "to"])
        #expect(Self.faults(["from": from, "to": to]) == ["to"])
        #expect(Self.faults(["from": 5, "to": "2026-01-01"]) == ["from", "to"])
        #expect(Self.faults(["from": from, "to": later, "batches": nil, "timeout": "5m"]) == [])
        #expect(Self.faults(["batches": ["1", "0", "01", "-1", "9223372036854775808"]]).count == 4)
        #expect(Self.faults(["batches": ["1"], "to": to]) == ["to"])
        #expect(Self.faults(["batches": .array(Array(repeating: "1", count: 1001))]) == ["batches"])
        #expect(Self.faults(["batches": ["1"], "timeout": "31d", "dry": true]) == ["timeout", "dry"])
        #expect(Self.faults(["batches": ["1"], "max_parallel": 0]) == ["max_parallel"])
        #expect(Self.faults(["batches": ["1"], "max_parallel": 65]) == ["max_parallel"])
        #expect(try ReplayRoute.decode(["batches": ["1"], "max_parallel": 3]).parallel == 3)
        let decoded = try ReplayRoute.decode(["from": from, "to": later])
        guard case .received(let span) = decoded.batches else { throw FieldFaults([]) }
        #expect(span.count == 1)
    }

    @Test("Over the batches of a span that are accepted, in order, behind what comes in")
    func spans() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            let ids = try await fixture.land([["{}"], ["{}"], ["{}"]])
            let later = try await fixture.land([["{}"]], at: "2026-01-02T00:00:00Z")
            try await pool.run("insert into millrace.upload (source_id, request_id) values (1, 'r')")
            try await pool.run("update millrace.batch set upload_id = 1 where id = \(.int8(ids[1]))")
            let span = try ReplayRoute.decode(["from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"])
            let run = try await fixture.start(span)
            let chosen = try await pool.texts(
                "select concat_ws(' ', ordinal, batch, state) from millrace.run_batch order by run, ordinal")
            #expect(chosen == ["0 \(ids[0]) queued", "1 \(ids[2]) queued"])
            let jobs = try await pool.texts("select concat_ws(' ', priority, limit_key, arguments) from queue.job")
            #expect(jobs == (0...1).map { #"-1 parallel_8:\#(run) {"run": \#(run), "count": 1, "first": \#($0)}"# })
            #expect(try await pool.texts("select state || version from millrace.run_report") == ["queued1"])
            if case .overlap(let other) = try await fixture.refusal(Self.always) {
                #expect(other == run)
            } else {
                Issue.record("an overlapping run was made")
            }
            #expect(try await fixture.refusal(Self.named(later)) == nil)
            if case .unknownBatches(let unknown) = try await fixture.refusal(Self.named([ids[1], 999])) {
                #expect(Set(unknown) == [ids[1], 999])
            } else {
                Issue.record("batches that are not there were taken")
            }
        }
    }

    @Test("A hundred thousand batches are noted down in one statement")
    func many() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await pool.run(
                """
                insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                    request_ids)
                select nextval('millrace.batch_id'), 1, 'ndjson', 1, 1, 1, '{1}', '{r}' from generate_series(1, 100000)
                """)
            let began = ContinuousClock.now
            _ = try await fixture.start(Self.always)
            #expect(ContinuousClock.now - began < .seconds(120))
            #expect(try await pool.int("select max(ordinal) from millrace.run_batch") == 99_999)
            #expect(try await pool.int("select batches from millrace.run") == 100_000)
        }
    }

    @Test("Batches without raw bytes are refused by name; a dataset that is not there is not rebuilt")
    func refusals() async throws {
        try await TransformFixture.run { fixture in
            let ids = try await fixture.land([["{}"], ["{}"]])
            try await fixture.expire([ids[1]])
            if case .rawExpired(let expired, let count) = try await fixture.refusal(Self.always) {
                #expect((expired, count) == ([ids[1]], 1))
            } else {
                Issue.record("a batch without raw bytes was taken")
            }
            #expect(try await fixture.pool.int("select count(*) from millrace.run_batch") == 0)
            try await fixture.pool.run(
                """
                update millrace.pipeline_version set definition =
                    '{"source": "events", "target": {"dataset": "web", "mode": "upsert"}}'
                where pipeline_id = (select id from millrace.pipeline where name = 'web')
                """)
            guard case .notRebuilt = try await fixture.refusal(Self.named([ids[0]])) else {
                Issue.record("a dataset that is not there was taken")
                return
            }
        }
    }

    @Test("Each batch becomes a chunk with its rows, counts and quarantine; nothing that is shown changes")
    func transforms() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            let ids = try await fixture.land([[#"{"n": 1}"#, #"{"n": 3}"#, #"{"n": "x"}"#], [#"{"n": 3}"#]])
            _ = try await fixture.start(Self.always)
            try await fixture.work {
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 2)
                try await pool.wait(until: "select count(*) from queue.lease", is: 0)
            }
            let chunks = try await pool.texts(
                """
                select concat_ws(' ', batch_id, ordinal, rows, filtered, quarantined, fault_rows::text,
                    fault_stages::text, convert_from(fault_raws[1], 'UTF8')) from landing.chunk order by id
                """)
            #expect(
                chunks == [
                    #"\#(ids[0]) 0 1 1 1 {2} {transform} {"n": "x"}"#, #"\#(ids[1]) 1 0 1 0 {} {}"#,
                ])
            #expect(try await pool.int("select count(*) from queue.job where kind = 'replace'") == 2)
            #expect(try await pool.int("select count(*) from landing.quarantine") == 0)
            #expect(try await pool.int("select count(*) from millrace.application") == 0)
            #expect(try await pool.texts("select state from millrace.run") == ["running"])
        }
    }

    @Test("No more of a run's jobs are under way than it may have, in either queue")
    func limited() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            _ = try await fixture.land(Array(repeating: [#"{"n": 1}"#], count: 40))
            var request = Self.always
            request.parallel = 2
            let run = try await fixture.start(request)
            #expect(try await pool.int("select count(*) from queue.job where kind = 'run.replay'") == 7)
            try await fixture.work {
                try await pool.withTransaction { connection in
                    // Whoever reads a batch stands still.
                    try await connection.query("lock table landing.payload in access exclusive mode")
                    try await pool.wait(until: "select count(*) from queue.blocked", is: 5)
                    try await pool.wait(
                        until: """
                            select least(count(*), 1) from pg_locks where not granted
                                and relation = 'landing.payload'::regclass
                            """, is: 1)
                    #expect(try await pool.int("select count(*) from queue.permit") == 2)
                }
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 40)
            }
            let keys = try await pool.texts("select distinct limit_key from queue.job where kind = 'replace'")
            #expect(keys == ["parallel_2:\(run)"])
            let rules = try await pool.texts(
                """
                select concat_ws(' ', q.name, l.name, concurrency) from queue.limit_rule l
                join queue.queue q on q.id = l.queue order by 1
                """)
            #expect(rules == ["store parallel_2 2", "transform parallel_2 2"])
        }
    }

    @Test("A batch whose raw bytes are gone meanwhile fails alone, and its redrive goes on with it only")
    func fails() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            let ids = try await fixture.land([[#"{"n": 1}"#], [#"{"n": 2}"#]])
            let run = try await fixture.start(Self.always)
            try await pool.run("create table kept as select * from landing.payload where batch_id = \(.int8(ids[0]))")
            try await pool.run("delete from landing.payload where batch_id = \(.int8(ids[0]))")
            try await fixture.work {
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state in ('dead', 'transformed')", is: 2)
                let states = try await pool.texts("select state from millrace.run_batch order by ordinal")
                #expect(states == ["dead", "transformed"])
                #expect(try await pool.texts("select state from millrace.run_report") == ["running"])
                try await pool.run("insert into landing.payload select * from kept")
                try await pool.run("select queue.redrive('transform', null, 10)")
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 2)
            }
            #expect(try await pool.int("select count(*) from landing.chunk where run = \(.int8(run))") == 2)
        }
    }

    @Test("An ordinary job that a replay overtook changes nothing")
    func overtaken() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            let ids = try await fixture.land([[#"{"n": 1}"#]])
            let pipeline = try await fixture.pipeline()
            try await pool.run(
                """
                insert into millrace.application (batch_id, pipeline_id, output, source_id, state, received, stored)
                values (\(.int8(ids[0])), \(.int8(pipeline)), 0, 1, 'stored', 1, 1)
                """)
            let update = UpdateApplications(updates: [
                ApplicationUpdate(
                    batchID: ids[0], pipelineID: pipeline, output: 0, version: 1, datasetID: 1, isFinished: false,
                    received: 1, filtered: 0, quarantined: 0, duplicates: 0, receiptReceived: nil, receiptCounts: nil)
            ])
            #expect(try await pool.withConnection { try await $0.execute(update) } == 0)
            #expect(try await pool.texts("select state || stored from millrace.application") == ["stored1"])
        }
    }

    private static func startJob(_ pipeline: Int64, _ time: String) -> PostgresQuery {
        """
        select queue.enqueue('transform', 'run.start', 1, array[jsonb_build_object('pipeline', \(.int8(pipeline)),
            'action', 'replay', 'window_seconds', 3600, 'schedule', jsonb_build_object('name', 'hourly',
            'scheduled_at', \(.text(time))::text))])
        """
    }

    @Test("A schedule's job makes one run over its window, without what has expired, and none of it twice")
    func schedules() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            _ = try await fixture.land([["{}"]], at: "2026-01-01T10:59:59Z")
            let inside = try await fixture.land([["{}"], ["{}"]], at: "2026-01-01T11:00:00Z")
            _ = try await fixture.land([["{}"]], at: "2026-01-01T12:00:00Z")
            try await fixture.expire([inside[0]])
            try await pool.run(Self.startJob(try await fixture.pipeline(), "2026-01-01T12:00:00Z"))
            try await pool.run(Self.startJob(try await fixture.pipeline(), "2026-06-01T12:00:00Z"))
            try await pool.run(Self.startJob(999, "2026-06-01T12:00:00Z"))
            try await pool.run("select queue.enqueue('transform', 'run.start', 1, array['{}'::jsonb])")
            try await pool.run("select queue.enqueue('transform', 'unheard_of', 1, array['{}'::jsonb])")
            try await fixture.work {
                try await pool.wait(until: "select count(*) from queue.dead", is: 3)
                try await pool.wait(
                    until: "select count(*) from millrace.run_batch where state = 'transformed'", is: 1)
            }
            let runs = try await pool.texts(
                """
                select concat_ws(' ', state, batches, skipped, schedule->>'name') from millrace.run_report
                order by batches desc
                """)
            #expect(runs == ["running 1 1 hourly", "succeeded 0 0 hourly"])
            #expect(try await pool.texts("select batch::text from millrace.run_batch") == ["\(inside[1])"])
            let errors = try await pool.texts("select error from queue.dead order by job")
            #expect(errors[0].hasPrefix("refused: the pipeline is not there"))
            #expect(errors[1].hasPrefix("invalid_arguments:"))
            #expect(errors[2].hasPrefix("unknown_kind: nobody here does jobs of kind unheard_of"))
        }
    }
}
