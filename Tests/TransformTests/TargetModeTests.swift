import HTTP
import JSON
import Postgres
import TestSupport
import Testing

@testable import Transform

@Suite("Transform: target.mode of pipelines")
struct TargetModeTests {
    private static let path = "/v1/pipelines/orders"

    private static func definition(
        _ mode: String, dataset: String = "orders", source: String = "shop", deleteWhen: String? = nil
    ) -> JSONValue {
        var target: [(String, JSONValue)] = [("dataset", .string(dataset)), ("mode", .string(mode))]
        if let deleteWhen { target.append(("delete_when", .string(deleteWhen))) }
        return ["source": .string(source), "steps": [], "target": .object(JSONObject(target))]
    }

    private static func makeDataset(_ pool: PostgresPool, _ name: String, key: String) async throws {
        let definition = #"{"primary_key": \#(key)}"#
        try await pool.run(
            """
            insert into millrace.dataset (workspace_id, name, definition, declared)
            values (1, \(.text(name)), \(.text(definition))::text::jsonb, true)
            """)
    }

    @Test("Upsert and ignore need a dataset that is there and has a primary key")
    func needsKey() async throws {
        try await ScheduleClient.run { client in
            for mode in ["upsert", "ignore"] {
                let missing = try await client.put(Self.path, Self.definition(mode))
                #expect(missing.status == 422 && missing.code == "invalid_pipeline")
                #expect(
                    missing.faults == [
                        """
                        target.dataset: there is no dataset orders; mode \(mode) needs one that was put with a \
                        primary_key
                        """
                    ])
            }
            try await Self.makeDataset(client.pool, "orders", key: "[]")
            let keyless = try await client.put(Self.path, Self.definition("upsert"))
            #expect(keyless.status == 422)
            #expect(
                keyless.faults
                    == ["target.dataset: the dataset orders has no primary_key, which mode upsert needs"])
            try await client.pool.run(
                #"update millrace.dataset set definition = '{"primary_key": ["id"]}' where name = 'orders'"#)
            #expect(
                try await client.put(Self.path, Self.definition("upsert", deleteWhen: "op = 'd'")).status == 201)
            #expect(try await client.put(Self.path, Self.definition("ignore")).status == 200)
            let replace = try await client.put(Self.path, Self.definition("replace"))
            #expect(replace.status == 422 && replace.code == "invalid_pipeline")
            let ignoring = try await client.put(Self.path, Self.definition("ignore", deleteWhen: "op = 'd'"))
            #expect(ignoring.faults == ["target.delete_when: goes with mode upsert only"])
            let untyped = try await client.put(Self.path, Self.definition("upsert", deleteWhen: "id + 1"))
            #expect(untyped.status == 422 && untyped.faults.first?.hasPrefix("target.delete_when: ") == true)
        }
    }

    @Test("All pipelines that fill a dataset by its key do so in one mode")
    func oneMode() async throws {
        try await ScheduleClient.run { client in
            try await Self.makeDataset(client.pool, "orders", key: #"["id"]"#)
            try await Self.makeDataset(client.pool, "weblogs", key: #"["id"]"#)
            #expect(try await client.put(Self.path, Self.definition("upsert")).status == 201)
            for mode in ["append", "ignore"] {
                let other = try await client.put("/v1/pipelines/more", Self.definition(mode, source: "other"))
                #expect(other.status == 409 && other.code == "conflict", "\(other.text)")
                #expect(
                    other.faults == [
                        """
                        target.mode: the pipeline orders fills the dataset orders with mode upsert, which does not \
                        go together with \(mode)
                        """
                    ])
            }
            #expect(
                try await client.put("/v1/pipelines/more", Self.definition("upsert", source: "other")).status == 201)
            // Records of the source `till`, which nobody reads, are appended to the dataset of its name.
            try await Self.makeDataset(client.pool, "till", key: #"["id"]"#)
            _ = try await client.put("/v1/pipelines/tills", Self.definition("append", dataset: "x", source: "till"))
            _ = try await client.delete("/v1/pipelines/tills")
            let beside = try await client.put("/v1/pipelines/z", Self.definition("upsert", dataset: "till"))
            #expect(beside.status == 409, "\(beside.text)")
            let instead = try await client.put(
                "/v1/pipelines/z", Self.definition("upsert", dataset: "till", source: "till"))
            #expect(instead.status == 201, "\(instead.text)")
        }
    }
}
