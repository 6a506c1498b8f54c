import Catalog
import JSON
import Postgres
import Records

@testable import Transform

/// A dataset `accounts` with rows, a pipeline over it, and what its runs make.
extension TransformFixture {
    /// Amounts move between rows, and what all hold stays the same.
    static let accounts = 3_000
    static let held = accounts * 100

    /// Makes the dataset `accounts`: `id int8, amount int8, name text, price numeric, more jsonb`, with `_extra`.
    func makeAccounts(_ count: Int = TransformFixture.accounts) async throws {
        try await pool.withConnection { connection in
            try await connection.execute(
                script: """
                    create schema ws_default;
                    create table ws_default.accounts (id int8, amount int8, name text collate "C", price numeric,
                        more jsonb, _extra jsonb, _batch int8 not null, _row int4 not null, _out int4 not null,
                        primary key (id));
                    insert into ws_default.accounts
                    select n, 100, 'account ' || n, n / 8.0, jsonb_build_object('n', n),
                        case when n % 1000 = 0 then jsonb_build_object('left', n) end, 1, n, 0
                    from generate_series(1, \(count)) n;
                    insert into millrace.dataset (workspace_id, name, table_created) values (1, 'accounts', true);
                    insert into millrace.dataset_column (dataset_id, ordinal, name, type, state, since_version)
                    select d.id, c.ordinality, c.name, c.type, 'applied', 1 from millrace.dataset d,
                        unnest(array['id', 'amount', 'name', 'price', 'more'],
                            array['int8', 'int8', 'text', 'numeric', 'jsonb']) with ordinality as c (name, type)
                    where d.name = 'accounts'
                    """)
        }
    }

    /// Puts the pipeline `copies`, as the route does.
    @discardableResult
    func putCopies(_ steps: JSONValue, mode: String = "append") async throws -> Int64 {
        let body: JSONValue = [
            "source": ["dataset": "accounts"], "steps": steps, "target": ["dataset": "copies", "mode": .string(mode)],
        ]
        let definition = try PipelineDefinition.decode(body)
        guard let name = ResourceName("copies") else { return 0 }
        let put = try await PipelineStore(pool: pool).put(
            name, definition, body: body.serialized(), workspaceID: 1
        ) { _ in }
        return put.pipeline.id
    }

    func startTable(_ pipeline: Int64, timeout: Duration? = nil) async throws -> Int64 {
        try await pool.withTransaction { connection in
            try await TableRunStarter().start(
                TableRunRequest(json: [:], timeout: timeout), of: pipeline, connection
            ).run
        }
    }

    /// Loads the chunks that a run's slices name into `public.result`, each into the columns that it has.
    func collect(_ run: Int64) async throws {
        try await pool.withConnection { connection in
            try await connection.execute(
                script: """
                    drop table if exists result;
                    create table result (_batch int8, _row int4, _out int4, id int8, amount int8, name text,
                        price numeric, more jsonb, twice int8, part int8, _extra jsonb)
                    """)
            let chunks = try await connection.query(
                """
                select c.columns, c.raw_bytes, c.body from millrace.run_batch b join landing.chunk c on c.id = b.chunk
                where b.run = \(.int8(run)) and c.rows > 0 order by b.ordinal
                """)
            for place in 0..<chunks.rowCount {
                let names = ["_batch", "_row", "_out"] + (try chunks[place].textArray(0))
                let rows = try Zstd.decompress(try chunks[place].bytes(2), limit: Int(try chunks[place].int4(1)))
                try await connection.copyIn("copy result (\(identifiers: names)) from stdin (format binary)") {
                    try await $0.write(CopyBinaryEncoder.header + rows + CopyBinaryEncoder.trailer)
                }
            }
        }
    }

    /// Moves amounts between random rows until the body returns: each transaction rewrites rows elsewhere in the table,
    /// and some rows are deleted and inserted again. Gives the body's value.
    func withTransfers<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) async throws -> T {
        try await withThrowingTaskGroup(of: T?.self) { group in
            for seed in 1...2 {
                group.addTask {
                    var number = seed
                    while !Task.isCancelled {
                        number = (number * 7919 + 13) % Self.accounts
                        let (from, to) = (Int64(number + 1), Int64((number + 1500) % Self.accounts + 1))
                        do {
                            try await self.pool.withTransaction { connection in
                                try await connection.query(
                                    """
                                    update ws_default.accounts set amount = amount
                                        + case id when \(.int8(from)) then -1 else 1 end
                                    where id in (\(.int8(from)), \(.int8(to)))
                                    """)
                                try await connection.query(
                                    """
                                    with gone as (delete from ws_default.accounts where id = \(.int8(from)) returning *)
                                    insert into ws_default.accounts select * from gone
                                    """)
                            }
                        } catch let error as PostgresError where error.sqlstate == "40P01" {
                            continue
                        } catch let error as PostgresError where error.code == .cancelled {
                            return nil
                        }
                    }
                    return nil
                }
            }
            group.addTask { try await body() }
            while let value = try await group.next() {
                if let value {
                    group.cancelAll()
                    return value
                }
            }
            throw CancellationError()
        }
    }
}
