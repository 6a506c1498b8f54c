import JSON
import Postgres
import Queue
import Records
import TestSupport
import Testing

@testable import Transform

extension TransformFixture {
    /// A dataset whose table has these columns and rows.
    func dataset(_ name: String, _ columns: [(name: String, type: String)], rows: String?) async throws {
        try await pool.run("create schema if not exists ws_default")
        let list = columns.map { "\(PostgresQuery.quoted(identifier: $0.name)) \($0.type)" }.joined(separator: ", ")
        try await pool.run(
            """
            create table \(identifier: "ws_default", name) (\(unsafeText: list), _extra jsonb, _batch int8, _row int4,
                _out int4)
            """)
        try await pool.run(
            """
            with dataset as (
                insert into millrace.dataset (workspace_id, name, table_created) values (1, \(.text(name)), true)
                returning id
            )
            insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
            select id, place, n, t, 'applied', 1 from dataset, unnest(\(.textArray(columns.map(\.name))),
                \(.textArray(columns.map(\.type)))) with ordinality as c (n, t, place)
            """)
        if let rows {
            try await pool.run("insert into \(identifier: "ws_default", name) \(unsafeText: rows)")
        }
    }

    func countries() async throws {
        try await dataset(
            "countries", [("code", "text"), ("name", "text"), ("people", "numeric")],
            rows: """
                values ('de', 'Germany', 83.2, null, 1, 0, 0), ('fr', 'old', 1, null, 1, 1, 0),
                    ('fr', 'France', 68, null, 2, 0, 0), ('xx', null, null, null, 1, 2, 0)
                """)
    }
}

@Suite("Transform: lookups in tables")
struct LookupQueryTests {
    private static func request(
        _ keys: [(String, ColumnType, [String])], _ columns: [(String, ColumnType)], dataset: String = "countries"
    ) -> LookupRequest {
        let count = keys[0].2.count
        return LookupRequest(
            dataset: dataset,
            keys: keys.map { name, type, texts in
                let text = Column(.text, .bytes(ByteColumn(texts)))
                let rows = [Int32](repeating: 0, count: count)
                return LookupRequest.Key(name, type, text.cast(to: type, rows: rows, name: name).column)
            },
            columns: columns.map { LookupRequest.Wanted(name: $0, type: $1) }, count: count,
            places: (0..<Int32(count)).map { $0 }, failed: [], faults: [])
    }

    private static func values(_ answer: LookupAnswer) -> [[String]] {
        answer.rows.map { row in
            answer.columns.map { column in
                guard column.isPresent(Int(row)) else { return "NULL" }
                var text: [UInt8] = []
                TextOutput.append(column, Int(row), into: &text)
                return String(decoding: text, as: UTF8.self)
            }
        }
    }

    @Test("Of several rows with a key the latest is found; a row of NULLs is not a missing one")
    func latest() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.countries()
            let keys = ["fr", "nn", "de", "xx"]
            let request = Self.request([("code", .text, keys)], [("name", .text), ("people", .numeric)])
            let answer = try await Lookups(pool: fixture.pool).find(request, workspaceID: 1)
            #expect(
                Self.values(answer) == [["France", "68"], ["NULL", "NULL"], ["Germany", "83.2"], ["NULL", "NULL"]])
            #expect(answer.rows.map { Int($0) == answer.missing } == [false, true, false, false])
        }
    }

    @Test("Keys and values of every type come through unchanged, keys of several columns too")
    func types() async throws {
        let samples: [(ColumnType, String, String)] = [
            (.text, "it's \"\\{},\u{1F600}\n", ""), (.int8, "-9223372036854775808", "0"),
            (.float8, "0.1", "1e+300"), (.numeric, "123456789012345678901234567890.50", "NaN"),
            (.bool, "true", "false"),
            (.timestamptz, "1999-12-31 23:59:59.999999+00", "infinity"), (.date, "2024-02-29", "-infinity"),
            (.uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"),
            (.jsonb, #"{"a": [1, "é"]}"#, "null"),
        ]
        try await TransformFixture.run { fixture in
            for (type, one, other) in samples {
                let name = "of_\(type.rawValue)"
                func literal(_ text: String) -> String { "\(PostgresQuery.quoted(literal: text))::\(type.rawValue)" }
                try await fixture.dataset(
                    name, [("k", type.rawValue), ("Odd \"one\"", "int8"), ("v", type.rawValue)],
                    rows: """
                        values (\(literal(one)), 1, \(literal(other)), null, 1, 0, 0),
                            (\(literal(one)), 2, \(literal(one)), null, 1, 1, 0),
                            (\(literal(other)), 1, \(literal(one)), null, 1, 2, 0)
                        """)
                let request = Self.request(
                    [("k", type, [one, other, one, other]), ("Odd \"one\"", .int8, ["1", "1", "2", "2"])],
                    [("v", type)],
                    dataset: name)
                let answer = try await Lookups(pool: fixture.pool).find(request, workspaceID: 1)
                #expect(Self.values(answer) == [[other], [one], [one], ["NULL"]], "\(type)")
            }
        }
    }

    @Test("What is not there is named; a table that is not made yet has no rows; another workspace's is not seen")
    func absent() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.countries()
            let lookups = Lookups(pool: pool)
            let request = Self.request([("code", .text, ["de"])], [("name", .text)])
            await #expect(throws: JobFailure.self) { try await lookups.find(request, workspaceID: 2) }
            #expect(try await lookups.schema(["countries"], workspaceID: 2).datasets.isEmpty)
            _ = try await lookups.find(request, workspaceID: 1)
            try await pool.run("drop table ws_default.countries")
            do {
                _ = try await lookups.find(request, workspaceID: 1)
                Issue.record("rows of a table that is gone were found")
            } catch let failure as JobFailure {
                #expect(failure.code == "lookup_failed")
                #expect(failure.message.hasPrefix("the dataset countries has changed"))
                #expect(!failure.isPermanent)
            }
            try await pool.run("update millrace.dataset set table_created = false")
            #expect(Self.values(try await lookups.find(request, workspaceID: 1)) == [["NULL"]])
            try await pool.run("delete from millrace.dataset")
            do {
                _ = try await Lookups(pool: pool).find(request, workspaceID: 1)
                Issue.record("a dataset that is gone was found")
            } catch let failure as JobFailure {
                #expect(failure.message == "the dataset countries is not there any more")
            }
        }
    }

    @Test("A column that the table has not yet is NULL, and is looked for anew each time")
    func pending() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.countries()
            try await pool.run(
                """
                insert into millrace.dataset_column (dataset_id, ordinal, name, type, since_version)
                select id, 9, 'capital', 'text', 2 from millrace.dataset
                """)
            let lookups = Lookups(pool: pool)
            let request = Self.request([("code", .text, ["de"])], [("capital", .text), ("name", .text)])
            #expect(Self.values(try await lookups.find(request, workspaceID: 1)) == [["NULL", "Germany"]])
            try await pool.run("alter table ws_default.countries add column capital text")
            try await pool.run("update ws_default.countries set capital = 'Berlin'")
            try await pool.run("update millrace.dataset_column set state = 'applied'")
            #expect(Self.values(try await lookups.find(request, workspaceID: 1)) == [["Berlin", "Germany"]])
        }
    }

    @Test("More than a batch may bring is refused with the dataset's name")
    func tooLarge() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.countries()
            try await fixture.pool.run("update ws_default.countries set name = repeat('x', 23000000)")
            let request = Self.request([("code", .text, ["de", "fr", "xx"])], [("name", .text)])
            do {
                _ = try await Lookups(pool: fixture.pool).find(request, workspaceID: 1)
                Issue.record("69 MB were taken")
            } catch let failure as JobFailure {
                #expect((failure.code, failure.isPermanent) == ("lookup_too_large", true))
                #expect(failure.message.contains("countries"))
            }
        }
    }

    @Test("A batch is joined and routed by what is found; a dataset that is removed is named by what fails")
    func endToEnd() async throws {
        try await TransformFixture.run { fixture in
            let pool = fixture.pool
            try await fixture.countries()
            try await fixture.put(
                """
                {"lookup": {"dataset": "countries", "on": {"c": "code"}, "columns": {"name": "country", "people": "p"},
                 "missing": "quarantine"}},
                {"route": [{"when": "p > 80", "dataset": "large"}]}
                """)
            _ = try await fixture.accept([#"{"c": "de"}"#, #"{"c": "fr"}"#, #"{"c": "no"}"#])
            try await fixture.workAll()
            #expect(
                try await fixture.ledger() == [
                    "0 web transformed 2 2 0 1 {2} -", "1 large transformed 2 1 0 0 {1} -",
                ])
            #expect(try await fixture.chunks() == ["0 web 2 1 {c,country,p}", "1 large 2 1 {c,country,p}"])
            #expect(try await fixture.quarantine() == ["0 web 2 2 transform lookup_missing"])
            // As store sends one output back.
            try await pool.run("update millrace.application set state = 'stored' where output = 0")
            try await pool.run("update millrace.application set state = 'accepted' where output = 1")
            try await fixture.enqueue(Int64(try await pool.int("select max(id) from millrace.batch")))
            try await fixture.workAll()
            let states = try await pool.texts(
                "select concat_ws(' ', state, version, left(error, 16)) from millrace.application order by output")
            #expect(states == ["stored 2", "failed 2 lookup_repeated:"])
            try await pool.run("drop table ws_default.countries")
            try await pool.run("delete from millrace.dataset where name = 'countries'")
            _ = try await fixture.accept([#"{"c": "de"}"#])
            try await fixture.workAll()
            let error = try await pool.texts(
                "select error from millrace.application where state = 'failed' order by batch_id desc")
            #expect(error.first?.hasPrefix("lookup_failed: ") == true, "\(error)")
            #expect(error.first?.contains("countries") == true)
        }
    }
}
