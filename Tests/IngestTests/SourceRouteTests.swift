import Catalog
import HTTP
import JSON
import Observability
import Postgres
import TestSupport
import Testing

@testable import Ingest

@Suite("Ingest: /v1/sources")
struct SourceRouteTests {
    private static let settings: JSONValue = [
        "limits": ["max_lag": "5m", "records_per_second": 1000], "retention": ["raw": "30d"],
        "coalescing": ["linger": "0s"],
    ]

    @Test("Put makes it once; the same again changes nothing; a change makes a version; If-Match guards")
    func puts() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture, ["MILLRACE_LINGER": "7ms"])
            let first = try await client.put("/v1/sources/web", Self.settings)
            #expect(first.status == 201)
            #expect(first.headers["etag"] == "\"v1\"")
            #expect(first.json["definition"] == Self.settings)
            #expect(first.json["limits"]?["max_lag"] == "5m")
            #expect(first.json["limits"]?["max_body_bytes"] == 17_179_869_184, "the service's")
            #expect(first.json["limits"]?["landing_bytes"] == .null)
            #expect(first.json["coalescing"] == ["max_bytes": 1_048_576, "linger": "0s"])
            let again = try await client.put(
                "/v1/sources/web",
                [
                    "limits": ["max_lag": "300s", "records_per_second": 1000], "retention": ["raw": "720h"],
                    "coalescing": ["linger": "0ms", "max_bytes": nil],
                ])
            #expect(again.status == 200)
            #expect(again.json["version"] == 1, "another way to write the same")
            let refused = try await client.put("/v1/sources/web", [:], headers: ["if-match": "\"v7\""])
            #expect(refused.status == 412)
            let changed = try await client.put("/v1/sources/web", [:], headers: ["if-match": "\"v1\""])
            #expect(changed.status == 200)
            #expect(changed.json["version"] == 2)
            #expect(changed.json["coalescing"]?["linger"] == "7ms")
            #expect(try await client.put("/v1/sources/x", [:], headers: ["if-match": "*"]).status == 412)
            #expect(try await client.put("/v1/sources/web", [:], headers: ["if-none-match": "*"]).status == 412)
            let own = try await client.put("/v1/sources/events", [:])
            #expect(own.status == 200, "its first record had made it")
            #expect(own.json["version"] == 1)
            #expect(try await client.get("/v1/sources").items.map { $0["name"] } == ["events", "web"])
            let page = try await client.get("/v1/sources?limit=1")
            let cursor = try #require(page.json["next_cursor"]?.string)
            #expect(try await client.get("/v1/sources?cursor=\(cursor)").items.map { $0["name"] } == ["web"])
            #expect(try await client.get("/v1/sources/none").code == "not_found")
        }
    }

    @Test("The list says of each source how it does, where that is asked for")
    func rates() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            _ = try await client.put("/v1/sources/idle", [:])
            #expect(try await client.ingest("events", "{\"n\": 1}\n{\"n\": 2}\n").status == 202)
            let plain = try await client.get("/v1/sources").items
            #expect(plain.map { $0["rates"] } == [nil, nil])
            let items = try await client.get("/v1/sources?rates=true&limit=100").items
            #expect(items.map { $0["name"] } == ["events", "idle"])
            let busy = try #require(items[0]["rates"]?["records_per_second"]?.double)
            #expect(busy > 0)
            let age = try #require(items[0]["freshness"]?.double)
            #expect(age > 0, "nobody stores here")
            #expect(items[1]["freshness"] == .null && items[1]["lag_seconds"] == 0)
            #expect(items[1]["rates"]?["records_per_second"] == 0)
            #expect(try await client.get("/v1/sources?rates=true&limit=101").code == "invalid_parameter")
            #expect(try await client.get("/v1/sources?rates=maybe").code == "invalid_parameter")
        }
    }

    @Test("Every mistake is named with its path; a stranger sees nothing; who may read may not change")
    func refuses() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture, ["MILLRACE_BODY_MAX_BYTES": "1MiB"])
            let wrong = try await client.put(
                "/v1/sources/web", ["limits": ["max_lag": "8d", "max_body_bytes": 2_097_152], "retention": 5, "x": 1])
            #expect(wrong.status == 422)
            #expect(wrong.code == "invalid_source")
            let paths = (wrong.json["errors"]?.array ?? []).compactMap { $0["path"]?.string }
            #expect(Set(paths) == ["limits.max_lag", "limits.max_body_bytes", "retention", "x"])
            #expect(try await client.put("/v1/sources/web", ["limit": [:]]).code == "unknown_field")
            #expect(try await client.put("/v1/sources/Web", [:]).code == "invalid_name")
            #expect(try await client.get("/v1/sources/web").status == 404, "nothing was made")

            try await fixture.pool.run(
                "insert into millrace.workspace (name, schema_name, query_role) values ('other', 'ws_other', 'none')")
            let stranger = try await IngestClient(fixture, workspaceID: 2)
            #expect(try await stranger.get("/v1/sources/events").status == 404)
            #expect(try await stranger.get("/v1/sources").items.isEmpty)
            #expect(try await stranger.delete("/v1/sources/events?confirm=events").status == 404)
            let reader = try await IngestClient(fixture, scopes: ["sources:read"])
            #expect(try await reader.get("/v1/sources/events").status == 200)
            #expect(try await reader.put("/v1/sources/events", [:]).status == 403)
            #expect(try await reader.delete("/v1/sources/events?confirm=events").status == 403)
        }
    }

    @Test("A source's limits are honoured, by every process within five seconds")
    func limits() async throws {
        try await IngestFixture.run { fixture in
            let (here, there) = (try await IngestClient(fixture), try await IngestClient(fixture))
            for client in [here, there] { #expect(try await client.ingest("events", "{\"n\": 1}\n").status == 202) }
            _ = try await here.put("/v1/sources/events", ["limits": ["max_body_bytes": 10]])
            #expect(try await here.ingest("events", "{\"n\": 10}\n").status == 202)
            #expect(try await here.ingest("events", "{\"n\": 100}\n").code == "payload_too_large")
            #expect(try await here.ingest("events", "{\"n\": 100}\n", chunked: true).code == "payload_too_large")
            there.clock.advance(.seconds(5))
            #expect(try await there.ingest("events", "{\"n\": 100}\n").code == "payload_too_large")

            _ = try await here.put("/v1/sources/events", ["limits": ["records_per_second": 2]])
            let many = String(repeating: "{\"n\": 1}\n", count: 1000)
            #expect(try await here.ingest("events", many).status == 202)
            let fast = try await here.ingest("events", "{\"n\": 5}\n")
            #expect(fast.status == 429)
            #expect(fast.code == "rate_limited")
            // Of 1,000 records two are there at once, and two come each second; the machine may be slow to come here.
            let retryAfter = try #require(fast.headers["retry-after"].flatMap { Int($0) })
            #expect((1...500).contains(retryAfter))

            _ = try await here.put("/v1/sources/slow", ["limits": ["landing_bytes": 1024]])
            let body = "{\"n\": \"\(String(repeating: "x", count: 1100))\"}\n"
            #expect(try await here.ingest("slow", body).status == 202)
            let third = try await IngestClient(fixture)
            let full = try await third.ingest("slow", body)
            #expect(full.status == 429)
            #expect(full.code == "lagging")
            #expect(full.headers["retry-after"] == "5")
            _ = try await here.put("/v1/sources/slow", ["limits": ["max_lag": "1s"]])
            try await fixture.pool.run("update millrace.batch set received_at = now() - interval '2 seconds'")
            #expect(try await IngestClient(fixture).ingest("slow", body).code == "lagging")
            let accepted = try await fixture.accepted()
            #expect(accepted.count == 1004, "what was refused has left nothing")
        }
    }

    @Test("A source's small requests share batches as it says")
    func coalescing() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            let pace: JSONValue = ["coalescing": ["max_bytes": 1024, "linger": "0s"]]
            #expect(try await client.put("/v1/sources/events", pace).status == 200)
            let body = "{\"n\": \"\(String(repeating: "x", count: 190))\"}\n"
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<100 { group.addTask { try await client.ingest("events", body).status } }
                return try await group.reduce(into: Set<Int>()) { $0.insert($1) }
            }
            #expect(statuses == [202])
            #expect(try await fixture.pool.int("select count(*) from millrace.batch where raw_bytes > 1024") == 0)
            #expect(try await fixture.pool.int("select count(*) from millrace.batch") < 100, "they do share")
            #expect(try await fixture.accepted().count == 100)
        }
    }

    @Test("GET tells rates, lag and freshness from the ledger; the metric tells them of all sources")
    func readings() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            let quiet = try await client.get("/v1/sources/events").json
            #expect(
                quiet["rates"] == ["records_per_second": 0, "bytes_per_second": 0, "stored_per_second": 0])
            #expect(quiet["lag_seconds"] == 0)
            #expect(quiet["freshness"] == .null)
            for number in 0..<6 { _ = try await fixture.land(["{\"n\": \(number)}", "{}"]) }
            try await fixture.pool.run(
                """
                update millrace.batch set received_at = now() - interval '90 seconds'
                where id in (select id from millrace.batch order by id limit 3)
                """)
            let busy = try await client.get("/v1/sources/events").json
            #expect(busy["rates"]?["records_per_second"]?.double == 0.1, "six in a minute")
            #expect(busy["rates"]?["bytes_per_second"]?.double ?? 0 > 0.5)
            let freshness = try #require(busy["freshness"]?.double)
            #expect(freshness >= 90 && freshness < 200)
            #expect(busy["lag_seconds"] == busy["freshness"])

            let registry = MetricsRegistry()
            let metric = FreshnessMetric(pool: fixture.pool, metrics: registry, logger: .silent)
            func shown() -> Double? {
                let line = #"millrace_source_freshness_seconds{workspace="default",source="events"} "#
                let text = String(decoding: registry.render(), as: UTF8.self)
                return text.split(separator: "\n").first { $0.hasPrefix(line) }.flatMap {
                    Double($0.dropFirst(line.count))
                }
            }
            #expect(shown() == nil)
            await metric.refresh()
            let first = try #require(shown())
            #expect(first >= freshness)
            try await fixture.pool.run(
                """
                update millrace.application set state = 'stored', stored = received,
                    stored_at = now() - case when batch_id = (select max(id) from millrace.batch)
                        then interval '61 seconds' else interval '0 seconds' end
                """)
            let stored = try await client.get("/v1/sources/events").json
            #expect(stored["freshness"] == .null)
            let records = try await fixture.pool.int(
                "select sum(received) from millrace.application where received > 0")
            let old = try await fixture.pool.int(
                "select received from millrace.application order by batch_id desc limit 1")
            let rate = try #require(stored["rates"]?["stored_per_second"]?.double)
            #expect(abs(rate * 60 - Double(records - old)) < 0.1, "whenever they came")
            await metric.refresh()
            #expect(try #require(shown()) > 0, "read at most every ten seconds")
            let fresh = FreshnessMetric(pool: fixture.pool, metrics: registry, logger: .silent)
            await fresh.refresh()
            #expect(shown() == 0)
        }
    }

    @Test("The rate is read from the newest batches alone, by the index")
    func ratePlan() async throws {
        try await IngestFixture.run { fixture in
            try await fixture.pool.run(
                """
                insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                    request_ids, received_at)
                select nextval('millrace.batch_id'), \(.int8(fixture.source.id)), 'ndjson', 1, 10, 1, '{1}', '{r}',
                    now() - interval '1 hour' from generate_series(1, 20000)
                """)
            try await fixture.pool.run("analyze millrace.batch")
            _ = try await fixture.land(["{}"])
            let read: PostgresQuery = """
                select pg_stat_get_xact_tuples_returned('millrace.batch_source'::regclass)
                    + pg_stat_get_xact_tuples_returned('millrace.batch'::regclass)
                """
            let touched = try await fixture.pool.withTransaction { connection -> Int in
                let rate = try await connection.query(SourceRate(sourceID: fixture.source.id)).first
                #expect(rate?.records == 1.0 / 60)
                return try await connection.query(read)[0].int(0)
            }
            #expect(touched > 0 && touched < 200, "\(touched) entries")
        }
    }
}
