import Postgres
import Records

/// A table and the columns that rows bring, as COPY writes to it.
struct CopyTarget: RowTarget {
    private typealias Fault = (row: Int, error: PostgresError)

    /// From so many rows on that a key excludes, the server is asked for the rest of them in one statement.
    static let denseRefusals = 32
    private static let stage = "millrace_stage"

    let table: DatasetTable
    let columns: [String]

    var copy: PostgresQuery {
        """
        copy \(identifier: table.schema, table.name) (\(identifiers: columns)) from stdin (format binary)
        """
    }

    func load(_ data: [UInt8], of chunks: [ChunkHead], _ connection: PostgresConnection) async throws -> LoadedRows {
        LoadedRows(sent: try await connection.copyIn(copy) { try await $0.write(data) }, written: nil)
    }

    func sift(
        _ rows: CopyBinaryRows, of chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> (loaded: LoadedRows, refused: [RefusedRow]) {
        let refused = try await refused(rows, connection)
        let siblings = rows.siblings(of: refused.map(\.row))
        if !siblings.isEmpty { try await remove(siblings.map(rows.lineage), connection) }
        return (
            LoadedRows(sent: rows.count - refused.count - siblings.count, written: nil),
            refused.map { ($0.row, $0.error) } + siblings.map { ($0, nil) }
        )
    }

    /// Loads what the table takes; gives the rows that it does not, with the reason of each.
    private func refused(_ rows: CopyBinaryRows, _ connection: PostgresConnection) async throws -> [Fault] {
        var sieve = RowSieve(count: rows.count)
        var refused: [Fault] = []
        var mayStage = true
        while let run = sieve.next {
            try Task.checkCancellation()
            if mayStage, refused.count >= Self.denseRefusals, let error = Self.commonKey(refused) {
                mayStage = false
                if let rest = try await loadStaged(rows, sieve.position..<rows.count, connection) {
                    return refused + rest.map { ($0, error) }
                }
            }
            do {
                try await attempt(connection) { connection in
                    _ = try await connection.copyIn(copy) { try await $0.write(Self.data(rows, run)) }
                }
                sieve.loaded()
            } catch let error as PostgresError where error.refusesRow {
                if let row = sieve.refused(line: error.copyLine) { refused.append((row, error)) }
            }
        }
        return refused
    }

    /// The error that rows refused by a key have in common, without the values; nil where another fault is among them.
    private static func commonKey(_ refused: [Fault]) -> PostgresError? {
        guard refused.allSatisfy({ $0.error.sqlstate == .uniqueViolation }), let last = refused.last else { return nil }
        var error = last.error
        error.detail = nil
        return error
    }

    /// Loads rows by way of a temporary table, in their order, leaving out those that a key excludes; gives their
    /// places. Nil where the table refuses a row for another reason: nothing has changed then.
    private func loadStaged(
        _ rows: CopyBinaryRows, _ rest: Range<Int>, _ connection: PostgresConnection
    ) async throws -> [Int]? {
        let lineage: [CopyBinaryRows.Lineage]
        do {
            lineage = try await attempt(connection) { connection in try await stage(rows, rest, connection) }
        } catch let error as PostgresError where error.refusesRow {
            return nil
        }
        return await withTaskExecutorPreference(globalConcurrentExecutor) {
            // Several rows of one record have the same lineage: as many as were kept count as kept.
            var kept: [CopyBinaryRows.Lineage: Int] = [:]
            for place in lineage { kept[place, default: 0] += 1 }
            return rest.filter { row in
                let key = rows.lineage(row)
                guard let count = kept[key], count > 0 else { return true }
                kept[key] = count - 1
                return false
            }
        }
    }

    private func stage(
        _ rows: CopyBinaryRows, _ rest: Range<Int>, _ connection: PostgresConnection
    ) async throws -> [CopyBinaryRows.Lineage] {
        try await connection.query(
            """
            create temporary table \(identifier: Self.stage) (like \(identifier: table.schema, table.name))
            on commit drop
            """)
        let copy: PostgresQuery = """
            copy pg_temp.\(identifier: Self.stage) (\(identifiers: columns)) from stdin (format binary)
            """
        _ = try await connection.copyIn(copy) { try await $0.write(Self.data(rows, rest)) }
        let insert: PostgresQuery = """
            with kept as (
                insert into \(identifier: table.schema, table.name) (\(identifiers: columns))
                select \(identifiers: columns) from pg_temp.\(identifier: Self.stage) order by ctid
                on conflict do nothing returning _batch, _row, _out
            )
            select coalesce(array_agg(_batch), '{}'), coalesce(array_agg(_row), '{}'), coalesce(array_agg(_out), '{}')
            from kept
            """
        let result = try await connection.query(insert)[0]
        let batches = try result.int8Array(0)
        let ordinals = try result.int4Array(1)
        let outputs = try result.int4Array(2)
        return batches.indices.map {
            CopyBinaryRows.Lineage(batch: batches[$0], row: ordinals[$0], output: outputs[$0])
        }
    }

    /// Runs `body` so that the transaction survives what the server refuses in it.
    private func attempt<T: Sendable>(
        _ connection: PostgresConnection, _ body: (PostgresConnection) async throws -> T
    ) async throws -> T {
        try await connection.query("savepoint run")
        do {
            let value = try await body(connection)
            try await connection.query("release savepoint run")
            return value
        } catch let error as PostgresError where error.refusesRow {
            try await connection.execute(script: "rollback to savepoint run; release savepoint run")
            throw error
        }
    }

    /// Removes rows that were loaded, in the open transaction.
    private func remove(_ lineages: [CopyBinaryRows.Lineage], _ connection: PostgresConnection) async throws {
        let batches = Array(Set(lineages.map(\.batch)))
        try await connection.query(
            """
            delete from \(identifier: table.schema, table.name) t
            using unnest(\(.int8Array(lineages.map(\.batch))), \(.int4Array(lineages.map(\.row))),
                \(.int4Array(lineages.map(\.output)))) as r (batch, record, output)
            where t._batch = any(\(.int8Array(batches))) and t._batch = r.batch and t._row = r.record
                and t._out = r.output
            """)
    }

    private static func data(_ rows: CopyBinaryRows, _ run: Range<Int>) -> [UInt8] {
        CopyBinaryEncoder.header + rows[run] + CopyBinaryEncoder.trailer
    }
}

extension PostgresError {
    /// The row of a COPY that the server refused, from 1: its context says `COPY web, line 3, column status`.
    var copyLine: Int? {
        guard let context, let range = context.firstRange(of: ", line ") else { return nil }
        return Int(context[range.upperBound...].prefix { $0.isNumber })
    }
}
