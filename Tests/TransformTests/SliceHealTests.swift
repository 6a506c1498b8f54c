import JSON
import Postgres
import Records
import TestSupport
import Testing

@testable import Transform

extension TransformFixture {
    /// Enters a slice of `accounts` that the pipeline `copies` has stored, but for these records, by their ordinals.
    fileprivate func storeSlice(_ records: [Int32: String], of count: Int32 = 10) async throws {
        try await pool.run(
            "insert into millrace.dataset (workspace_id, name) values (1, 'copies') on conflict do nothing")
        try await pool.run(
            """
            with batch as (
                insert into millrace.batch (id, source_id, format, records, raw_bytes, stored_bytes, receipt_ends,
                    request_ids)
                select nextval('millrace.batch_id'), p.source_id, 'table', \(.int4(count)), 1, 0,
                    \(.int4Array([count])), '{run}'
                from millrace.pipeline p where p.name = 'copies' returning id, source_id
            )
            insert into millrace.application (batch_id, pipeline_id, output, source_id, version, dataset_id, state,
                received, stored, quarantined)
            select b.id, p.id, 0, b.source_id, 1, d.id, 'stored', \(.int4(count)),
                \(.int4(count - Int32(records.count))), \(.int4(Int32(records.count)))
            from batch b, millrace.pipeline p, millrace.dataset d where p.name = 'copies' and d.name = 'copies'
            """)
        for (row, raw) in records {
            try await pool.run(
                """
                insert into landing.quarantine (batch_id, row, pipeline_id, output, version, dataset_id, stage, errors,
                    raw)
                select batch_id, \(.int4(row)), pipeline_id, 0, 1, dataset_id, 'transform', '[{"code": "first"}]',
                    \(.bytes(Array(raw.utf8)))
                from millrace.application
                """)
        }
    }

    /// Why the runs' batches are dead.
    fileprivate func errors() async throws -> [String] {
        try await pool.texts("select split_part(error, ':', 1) from millrace.run_batch where state = 'dead'")
    }
}

@Suite("Transform: healing what slices of tables have left")
struct SliceHealTests {
    private static let records: [Int32: String] = [
        2: #"{"id":3,"amount":100,"name":"three","price":0.1250000000000000,"more":{"n": 3},"_extra":{"left": 3}}"#,
        4: #"{"id":5,"amount":9223372036854775807,"name":"5","price":12345678901234567890.10,"more":null}"#,
        7: #"{"id":8,"name":"eight","gone":true}"#, 9: #"{"id":"ten","amount":1}"#,
    ]

    @Test("Rows are typed as their dataset's columns are, under the current version; what has none comes with them")
    func typed() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts(1)
            // Untyped, `amount + 1` would be none, and `price / 2` would have other digits.
            try await fixture.putCopies([
                ["derive": ["twice": "amount + 1", "price": "price / 2", "name": "name || '!'"]]
            ])
            try await fixture.storeSlice(Self.records)
            let run = try await fixture.heal("copies")
            #expect(try await fixture.healedChunks().map { $0.split(separator: ":")[0] } == ["{2,4,7,9} 4 2 0 2 {4,9}"])
            try await fixture.pool.run(
                "update millrace.run_batch b set chunk = c.id from landing.chunk c where c.run = b.run")
            try await fixture.collect(run)
            let rows = try await fixture.pool.texts(
                """
                select concat_ws('|', _row, _out, id, amount, name, price, more, twice, _extra) from result order by id
                """
            )
            #expect(
                rows == [
                    #"2|0|3|100|three!|0.06250000000000000000|{"n": 3}|101|{"left": 3}"#, "7|0|8|eight!",
                ])
            let faults = try await fixture.pool.texts(
                """
                select concat_ws(' ', f.row, f.stage, f.errors -> 0 ->> 'code', convert_from(f.raw, 'UTF8'))
                from landing.chunk c, unnest(c.fault_rows, c.fault_stages, c.fault_errors, c.fault_raws)
                    as f (row, stage, errors, raw) order by 1
                """)
            #expect(
                faults == [
                    "4 transform out_of_range \(Self.records[4] ?? "")",
                    "9 decode invalid_cast \(Self.records[9] ?? "")",
                ])
        }
    }

    @Test("A version that does not fit the dataset any more, and a dataset that is gone, leave everything as it is")
    func unfit() async throws {
        try await TransformFixture.run { fixture in
            try await fixture.makeAccounts(1)
            try await fixture.putCopies([["filter": "amount > 0"]])
            try await fixture.storeSlice(Self.records)
            try await fixture.pool.run("update millrace.dataset_column set name = 'sum' where name = 'amount'")
            _ = try await fixture.heal("copies")
            #expect(try await fixture.errors() == ["unfit"])
            try await fixture.pool.run("delete from millrace.dataset_column where name = 'sum'")
            try await fixture.pool.run("update millrace.dataset set name = 'others' where name = 'accounts'")
            _ = try await fixture.heal("copies")
            #expect(try await fixture.errors() == ["unfit", "source_removed"])
            #expect(try await fixture.healedChunks() == [])
            #expect(try await fixture.pool.int("select count(*) from landing.quarantine") == 4)
        }
    }

    @Test("A slice keeps what it was made of where the table may refuse its rows, and nowhere else")
    func sources() async throws {
        let cases: [(definition: String, mode: String, keeps: Bool)] = [
            ("{}", "append", false), (#"{"primary_key": ["id"]}"#, "append", true),
            (#"{"primary_key": ["id"]}"#, "upsert", false), (#"{"primary_key": ["id"]}"#, "replace", true),
            (#"{"partition": "day"}"#, "append", true), (#"{"partition": "none"}"#, "replace", false),
        ]
        for (definition, mode, keeps) in cases {
            try await TransformFixture.run { fixture in
                try await fixture.makeAccounts(20)
                try await fixture.pool.run(
                    """
                    insert into millrace.dataset (workspace_id, name, definition)
                    values (1, 'copies', \(.text(definition))::text::json)
                    """)
                let run = try await fixture.startTable(try await fixture.putCopies([], mode: mode))
                try await fixture.work {
                    try await fixture.pool.wait(until: "select count(*) from millrace.run where released", is: 1)
                }
                let found = try await fixture.pool.withConnection { connection in
                    try await connection.query("select source from landing.chunk where run = \(.int8(run))")
                }
                #expect(found.rowCount == 1 && found[0].isNull(0) != keeps, "\(definition) \(mode)")
                guard keeps else { return }
                var decoder = CopyBinaryDecoder(rows: [
                    ("id", .int8), ("amount", .int8), ("name", .text), ("price", .numeric), ("more", .jsonb),
                ])
                decoder.append(try Zstd.decompress(try found[0].bytes(0), limit: 1 << 20))
                #expect(try decoder.finish().rowCount == 20)
            }
        }
    }
}
