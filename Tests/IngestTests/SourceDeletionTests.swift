import Catalog
import HTTP
import JSON
import Lifecycle
import Postgres
import TestSupport
import Testing

@testable import Ingest

@Suite("Ingest: deleting a source")
struct SourceDeletionTests {
    private let path = "/v1/sources/events?confirm=events"

    @Test("Only by its name once more, when nobody reads it and all is stored")
    func guards() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            #expect(try await client.delete("/v1/sources/events").code == "confirmation_required")
            #expect(try await client.delete("/v1/sources/events?confirm=event").code == "confirmation_required")
            #expect(try await client.delete("/v1/sources/none?confirm=none").code == "not_found")
            #expect(try await client.delete(path, headers: ["if-match": "\"v3\""]).status == 412)
            try await fixture.pool.run(
                """
                insert into millrace.pipeline (workspace_id, name, source_id, version)
                values (1, 'reader', \(.int8(fixture.source.id)), 1)
                """)
            let read = try await client.delete(path)
            #expect(read.status == 409)
            #expect(read.code == "in_use")
            #expect(read.json["detail"]?.string?.contains("reader") == true)
            try await fixture.pool.run("update millrace.pipeline set active = false where name = 'reader'")

            _ = try await client.ingest("events", "{\"n\": 1}\n")
            let unfinished = try await client.delete(path)
            #expect(unfinished.status == 409)
            #expect(unfinished.code == "conflict")
            #expect(unfinished.json["detail"] == "records of the source are not stored yet")
            try await fixture.pool.run("update millrace.application set state = 'stored'")
            try await fixture.pool.run(
                "insert into millrace.upload (source_id, request_id) values (\(.int8(fixture.source.id)), 'r')")
            #expect(
                try await client.delete(path).json["detail"] == "a large body is coming in for the source")
            try await fixture.pool.run("update millrace.upload set state = 'accepted'")
            #expect(try await client.delete(path, headers: ["if-match": "\"v0\""]).status == 204)
            #expect(try await client.get("/v1/sources/events").status == 404)
            #expect(try await client.get("/v1/sources").items.isEmpty)
            #expect(try await client.delete(path).status == 404)
        }
    }

    @Test("The ledger stays; the name is free; what another process takes in meanwhile is not lost")
    func keepsLedger() async throws {
        try await IngestFixture.run { fixture in
            let (here, there) = (try await IngestClient(fixture), try await IngestClient(fixture))
            let first = try await here.ingest("events", "{\"n\": 1}\n")
            #expect(try await there.ingest("events", "{\"n\": 2}\n").status == 202)
            try await fixture.pool.run("update millrace.application set state = 'stored'")
            #expect(try await here.delete(path).status == 204)
            let receipt = try #require(first.json["receipt"]?.string)
            #expect(try await here.get("/v1/receipts/\(receipt)").json["state"] == "stored")
            #expect(try await here.get("/v1/batches?source=events").items.count == 2)

            let straggler = try await there.ingest("events", "{\"n\": 3}\n")
            #expect(straggler.status == 202)
            let late = try #require(straggler.json["receipt"]?.string)
            #expect(try await there.get("/v1/receipts/\(late)").json["outputs"]?.array?.count == 1)
            #expect(try await fixture.pool.int("select count(*) from queue.ready") == 3, "a job of its own")

            #expect(try await here.ingest("events", "{\"n\": 4}\n").status == 202)
            let anew = try await here.get("/v1/sources/events")
            #expect(anew.json["declared"] == false)
            #expect(anew.json["version"] == 0)
            #expect(try await fixture.pool.int("select count(distinct source_id) from millrace.batch") == 2)
            #expect(try await here.put("/v1/sources/events", [:]).status == 200)
            #expect(
                try await fixture.pool.int(
                    "select count(*) from millrace.source where name = 'events' and deleted_at is null") == 1)
        }
    }

    @Test("Raw bytes that have expired are 409, with the time")
    func rawExpires() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            _ = try await client.ingest("events", "{\"n\": 1}\n")
            #expect(try await client.get("/v1/batches/1/raw").text == "{\"n\": 1}\n")
            try await fixture.pool.run(
                "insert into landing.expired values ('payload', 0, 0, 100000, '2026-01-02T03:04:05.5Z')")
            #expect(try await client.get("/v1/batches/1/raw").status == 200, "marked, and not gone yet")
            try await fixture.pool.run("delete from landing.payload")
            let gone = try await client.get("/v1/batches/1/raw")
            #expect(gone.status == 409)
            #expect(gone.code == "raw_expired")
            #expect(gone.json["raw_expired_at"] == "2026-01-02T03:04:05.5Z")
            #expect(try await client.get("/v1/batches/1").json["raw_available"] == false)
        }
    }

    @Test(
        "While a pipeline is being put, or records land, it is not deleted; nor does a pipeline get hold of it after"
    )
    func races() async throws {
        try await IngestFixture.run { fixture in
            let client = try await IngestClient(fixture)
            let refused = try await fixture.pool.withTransaction { other in
                let hold = HoldSource(workspaceID: 1, name: "events")
                #expect(try await other.query(hold).count == 1)
                return try await client.delete(path)
            }
            #expect(refused.status == 409)
            #expect(refused.code == "conflict")
            #expect(refused.headers["retry-after"] == "1")
            let sealed = ShutdownSignal()
            async let held = { () -> Int in
                await sealed.requested()
                let hold = HoldSource(workspaceID: 1, name: "events")
                return try await fixture.pool.withConnection { try await $0.query(hold).count }
            }()
            try await fixture.pool.withTransaction { deleting in
                let seal = SealSource(workspaceID: 1, name: "events")
                let source = try #require(try await deleting.query(seal).first)
                sealed.request()
                let waiting: PostgresQuery = """
                    select count(*) from pg_stat_activity
                    where datname = current_database() and wait_event_type = 'Lock'
                    """
                while try await fixture.pool.int(waiting) == 0 { try await Task.sleep(for: .milliseconds(5)) }
                try await deleting.execute(DeleteSource(id: source.id))
            }
            let found = try await held
            #expect(found == 0, "who waited for the deletion finds nothing")
        }
    }
}
