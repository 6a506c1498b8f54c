import Postgres
import Records
import TestSupport
import Testing

@testable import Transform

@Suite("Transform: agreeing on columns")
struct AgreementTests {
    private func dataset(_ pool: PostgresPool) async throws -> Int64 {
        let ensure = EnsureDataset(workspaceID: 1, name: "moving")
        return try await pool.withConnection { try await $0.query(ensure)[0].id }
    }

    private func names(_ pool: PostgresPool) async throws -> [String] {
        try await pool.texts("select name || ' ' || type from millrace.dataset_column order by ordinal")
    }

    @Test("Processes that bring the same column and others at once: each is there once, and all see one type")
    func concurrent() async throws {
        try await TransformFixture.run { fixture in
            let id = try await dataset(fixture.pool)
            let seen = try await withThrowingTaskGroup(of: [AgreedColumn].self) { group in
                for client in 0..<24 {
                    // Each a registry of its own, as a process has.
                    let schemas = SchemaRegistry(pool: fixture.pool)
                    group.addTask {
                        let schema = try await schemas.schema("moving", workspaceID: 1)
                        let type: ColumnType = client % 2 == 0 ? .int8 : .text
                        let wanted: [(name: String, type: ColumnType)] = [
                            ("shared", type), ("own\(client % 12)", .bool),
                        ]
                        return try await schemas.agree(
                            on: client % 3 == 0 ? wanted : wanted.reversed(), of: "moving", workspaceID: 1,
                            schema: schema
                        ).columns
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            let columns = try await fixture.pool.withConnection {
                try await $0.query(ListAgreedColumns(datasetID: id))
            }
            #expect(Set(columns.map(\.name)) == Set((0..<12).map { "own\($0)" } + ["shared"]))
            #expect(columns.count == 13)
            let shared = try #require(columns.first { $0.name == "shared" })
            for columns in seen { #expect(columns.contains(shared)) }
            #expect(try await fixture.pool.int("select count(distinct ordinal) from millrace.dataset_column") == 13)
        }
    }

    @Test("A name that comes twice or looks like another one is one column; the limit holds for the new ones")
    func collisions() async throws {
        try await TransformFixture.run { fixture in
            let id = try await dataset(fixture.pool)
            func agree(_ names: [String], _ types: [String]) async throws {
                let statement = AgreeColumns(datasetID: id, names: names, types: types)
                _ = try await fixture.pool.withConnection { try await $0.query(statement) }
            }
            try await agree(["a", "b", "a"], ["int8", "text", "text"])
            #expect(try await names(fixture.pool) == ["a int8", "b text"])
            try await agree(["cafe\u{301}", "caf\u{E9}"], ["int8", "text"])
            try await agree(["caf\u{E9}", "c"], ["bool", "bool"])
            let found = try await names(fixture.pool).map { Array($0.utf8) }
            #expect(found == ["a int8", "b text", "cafe\u{301} int8", "c bool"].map { Array($0.utf8) })
            try await agree((0..<300).map { "k\($0)" }, [String](repeating: "int8", count: 300))
            #expect(try await names(fixture.pool).count == 200)
        }
    }

    @Test("A schema is read while somebody changes the dataset's table")
    func reads() async throws {
        try await TransformFixture.run { fixture in
            let id = try await dataset(fixture.pool)
            try await fixture.pool.withTransaction { connection in
                try await connection.query("select from millrace.dataset where id = \(.int8(id)) for update")
                let schema = try await SchemaRegistry(pool: fixture.pool).schema("moving", workspaceID: 1)
                #expect(schema.id == id)
            }
        }
    }
}
