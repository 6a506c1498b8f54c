import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Transform

@Suite("Transform: /v1/schedules")
struct ScheduleRouteTests {
    private static let path = "/v1/schedules/nightly"
    private static let start: JSONValue = ["pipeline": "web", "action": "replay", "window": "1d"]
    private static let definition: JSONValue = [
        "cron": "30 2 * * *", "timezone": "Europe/Berlin", "missed": "all", "start": start, "paused": false,
    ]

    @Test("Put makes it once; the same again changes nothing; a change makes a version; If-Match guards")
    func puts() async throws {
        try await ScheduleClient.run { client in
            let first = try await client.put(Self.path, Self.definition)
            #expect(first.status == 201, "\(first.text)")
            #expect(first.headers["etag"] == "\"v1\"")
            let json = first.json
            for member in ["cron", "timezone", "missed", "start", "paused"] {
                #expect(json[member] == Self.definition[member], "\(member)")
            }
            #expect(json["last_at"] == .null && json["last_job"] == .null)
            let next = (json["next"]?.array ?? []).compactMap(\.string)
            #expect(next.count == 5 && next == next.sorted() && next.first == json["next_at"]?.string)
            #expect(
                next.allSatisfy { $0.hasSuffix("T00:30:00Z") || $0.hasSuffix("T01:30:00Z") || $0.contains("T01:00") })

            let again = try await client.put(
                Self.path,
                [
                    "start": ["window": "24h", "action": "replay", "pipeline": "web"], "missed": "all",
                    "timezone": "Europe/Berlin", "cron": " 30  2 * * *", "paused": nil,
                ])
            #expect(again.status == 200)
            #expect(again.json["version"] == 1, "another way to write the same")
            #expect(try await client.put(Self.path, Self.definition, headers: ["if-match": "\"v7\""]).status == 412)
            #expect(try await client.put(Self.path, Self.definition, headers: ["if-none-match": "*"]).status == 412)
            let changed = try await client.put(
                Self.path, ["cron": "@hourly", "start": Self.start], headers: ["if-match": "\"v1\""])
            #expect(changed.status == 200)
            #expect(changed.json["version"] == 2)
            #expect(changed.json["timezone"] == "UTC" && changed.json["missed"] == "once")
            #expect(try await client.get(Self.path).json["next_at"]?.string?.hasSuffix(":00:00Z") == true)
            #expect(try await client.put("/v1/schedules/x", Self.definition, headers: ["if-match": "*"]).status == 412)
        }
    }

    @Test("Every mistake is named with its path and says what is wrong")
    func refuses() async throws {
        try await ScheduleClient.run { client in
            func faults(_ body: JSONValue, _ code: String = "invalid_schedule") async throws -> [String] {
                let answer = try await client.put(Self.path, body)
                #expect(answer.status == 422 && answer.code == code, "\(answer.text)")
                return answer.faults
            }
            #expect(
                try await faults([
                    "cron": "0 24 * * *", "timezone": "Europe/Bonn", "missed": "never",
                    "start": ["pipeline": "web", "action": "replay", "window": "59s", "from": 1], "paused": 1,
                ]) == [
                    "cron: hour: \"24\" is not 0 to 23", "timezone: there is no time zone \"Europe/Bonn\"",
                    "missed: expected one of \"skip\", \"once\", \"all\", found \"never\"",
                    "start.window: must be 1m to 3650d, in whole seconds",
                    "paused: expected true or false, found a number", "start.from: unknown field",
                ])
            #expect(
                try await faults(["cron": "0 0 30 2 *", "start": Self.start])
                    == ["cron: day of month: no month that is allowed has such a day: it never fires"])
            #expect(try await faults(["cron": 5, "start": Self.start]).count == 1)
            #expect(try await faults([:]).count == 2)
            #expect(
                try await faults(["cron": "@daily", "start": ["pipeline": "web", "action": "replay"]])
                    == ["start.window: missing; expected \(Duration.expectation)"])
            #expect(
                try await faults([
                    "cron": "@daily", "start": ["pipeline": "none", "action": "replay", "window": "1d"],
                ]) == ["start.pipeline: there is no pipeline none"])
            #expect(
                try await faults(["cron": "@daily", "start": ["pipeline": "web", "action": "run"]]) == [
                    "start.action: the pipeline web reads the source weblogs: it runs as records arrive, and only its "
                        + "replay can be scheduled"
                ])
            #expect(
                try await faults(["cron": "@daily", "start": ["pipeline": "web", "action": "run", "window": "1d"]])
                    == ["start.window: goes with action replay only"])
            var more = try #require(Self.definition.object)
            more["every"] = "5m"
            #expect(try await faults(.object(more), "unknown_field") == ["every: unknown field"])
            #expect(try await client.put("/v1/schedules/Nightly", Self.definition).code == "invalid_name")
            #expect(try await client.get(Self.path).status == 404, "nothing was made")
            #expect(try await client.pool.int("select count(*) from queue.schedule") == 0)
        }
    }

    @Test("A key that is narrowed to a schedule's name neither changes nor triggers it without its pipeline")
    func narrowed() async throws {
        try await ScheduleClient.run { client in
            _ = try await client.put(Self.path, Self.definition)
            _ = try await client.put(
                "/v1/pipelines/nights", ["source": "weblogs", "target": ["dataset": "nights", "mode": "append"]])
            let key = try await ScheduleClient(client.pool, scopes: ["pipelines:*/night*"])
            #expect(try await key.get(Self.path).status == 200)
            var own = try #require(Self.definition.object)
            own["start"] = ["pipeline": "nights", "action": "replay", "window": "1d"]
            var refusals = [try await key.put(Self.path, Self.definition), try await key.put(Self.path, .object(own))]
            for action in ["pause", "resume", "trigger"] {
                refusals.append(try await key.post("\(Self.path)/\(action)"))
            }
            refusals.append(try await key.delete(Self.path))
            for answer in refusals {
                #expect(answer.status == 403 && answer.code == "forbidden", "\(answer.text)")
                #expect(answer.json["scope"] == "pipelines:write")
                #expect(answer.json["detail"]?.string?.contains("\"web\"") == true)
            }
            #expect(try await client.pool.int("select count(*) from queue.job") == 0)
            let after = try await client.get(Self.path).json
            #expect(after["version"] == 1 && after["paused"] == false && after["last_job"] == .null)

            // With the pipeline as well, or with one of its own, it may.
            let both = try await ScheduleClient(client.pool, scopes: ["pipelines:*/night*", "pipelines:write/web"])
            #expect(try await both.post("\(Self.path)/trigger").status == 202)
            #expect(try await both.post("\(Self.path)/pause").status == 200)
            #expect(try await both.put(Self.path, .object(own)).status == 200)
            #expect(try await key.post("\(Self.path)/trigger").status == 202)
            #expect(try await key.delete(Self.path).status == 204)
        }
    }

    @Test("Pause, resume and trigger; the job has its arguments and the time it was told")
    func actions() async throws {
        try await ScheduleClient.run { client in
            for action in ["pause", "resume", "trigger"] {
                #expect(try await client.post("\(Self.path)/\(action)").code == "not_found")
            }
            _ = try await client.put(Self.path, Self.definition)
            let paused = try await client.post("\(Self.path)/pause")
            #expect(paused.status == 200 && paused.headers["etag"] == "\"v2\"")
            #expect(paused.json["paused"] == true && paused.json["next_at"] == .null)
            #expect(paused.json["next"]?.array?.count == 5)
            #expect(try await client.post("\(Self.path)/pause").json["version"] == 2)
            let triggered = try await client.post("\(Self.path)/trigger")
            #expect(triggered.status == 202, "\(triggered.text)")
            let after = try await client.get(Self.path).json
            #expect(after["last_job"] == triggered.json["job"])
            #expect(after["last_at"] == triggered.json["scheduled_at"])
            #expect(after["version"] == 2)
            let jobs = try await client.pool.texts(
                "select queue.job_state(id) || ' ' || kind || ' ' || workspace || ' ' || arguments::text from queue.job"
            )
            let told = try #require(triggered.json["scheduled_at"]?.string)
            let arguments: JSONValue = [
                "pipeline": .number(
                    try await client.pool.int("select id from millrace.pipeline where not implicit")),
                "action": "replay", "window_seconds": 86_400,
                "schedule": ["name": "nightly", "scheduled_at": .string(told)],
            ]
            #expect(jobs.count == 1 && jobs[0].hasPrefix("ready run.start 1 "))
            #expect(try JSONValue.parse(String(try #require(jobs.first).dropFirst(18))) == arguments)
            let resumed = try await client.post("\(Self.path)/resume").json
            #expect(resumed["paused"] == false && resumed["next_at"]?.string != nil && resumed["version"] == 3)
        }
    }

    @Test("Lists go by name in pages; strangers see nothing; who may read may not change")
    func lists() async throws {
        try await ScheduleClient.run { client in
            for name in ["c", "a", "b"] { _ = try await client.put("/v1/schedules/\(name)", Self.definition) }
            let page = try await client.get("/v1/schedules?limit=2")
            #expect(page.items.map { $0["name"] } == ["a", "b"])
            let cursor = try #require(page.json["next_cursor"]?.string)
            let rest = try await client.get("/v1/schedules?limit=2&cursor=\(cursor)")
            #expect(rest.items.map { $0["name"] } == ["c"] && rest.json["next_cursor"] == .null)
            #expect(try await client.get("/v1/schedules?state=x").code == "invalid_parameter")

            let stranger = try await ScheduleClient(client.pool, workspaceID: 2)
            #expect(try await stranger.get("/v1/schedules").items.isEmpty)
            #expect(try await stranger.get("/v1/schedules/a").status == 404)
            #expect(try await stranger.post("/v1/schedules/a/trigger").status == 404)
            #expect(try await stranger.delete("/v1/schedules/a").status == 404)
            #expect(try await stranger.put("/v1/schedules/a", Self.definition).code == "invalid_schedule")
            let reader = try await ScheduleClient(client.pool, scopes: ["pipelines:read"])
            #expect(try await reader.get("/v1/schedules/a").status == 200)
            #expect(try await reader.put("/v1/schedules/a", Self.definition).status == 403)
            #expect(try await reader.post("/v1/schedules/a/pause").status == 403)
            #expect(try await reader.post("/v1/schedules/a/trigger").status == 403)

            #expect(try await client.delete("/v1/schedules/a", headers: ["if-match": "\"v9\""]).status == 412)
            #expect(try await client.delete("/v1/schedules/a").status == 204)
            #expect(try await client.delete("/v1/schedules/a").status == 404)
        }
    }

    @Test("A pipeline that schedules start is not deleted")
    func inUse() async throws {
        try await ScheduleClient.run { client in
            _ = try await client.put(Self.path, Self.definition)
            let refused = try await client.delete("/v1/pipelines/web")
            #expect(refused.status == 409 && refused.code == "in_use")
            #expect(refused.json["detail"] == "schedules start the pipeline: nightly")
            _ = try await client.delete(Self.path)
            #expect(try await client.delete("/v1/pipelines/web").status == 204)
            #expect(
                try await client.put(Self.path, Self.definition).faults == ["start.pipeline: there is no pipeline web"])
        }
    }
}
