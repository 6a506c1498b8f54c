import Postgres
import Queue
import Records

/// Loads a group of chunks: rows, ledger and settling in one transaction.
struct GroupLoader: Sendable {
    /// Rows that the table refused: the data are at fault.
    private struct RowsRefused: Error {
        let error: PostgresError
    }

    /// What was loaded.
    struct Outcome: Sendable {
        var rows: Int
        var refused: Int
    }

    let raws: RawRecords

    /// Loads the group. Errors: what the database or the lease throws; nothing of the group is stored then.
    func load(_ group: ChunkGroup, _ rows: GroupRows, into table: DatasetTable, lease: Lease) async throws -> Outcome {
        let copy = Self.statement(group, table)
        do {
            return try await lease.transaction(settling: group.jobs) { connection in
                try await markStored(group, connection)
                let count: Int
                do {
                    count = try await connection.copyIn(copy) { try await $0.write(rows.copyData) }
                } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
                    throw RowsRefused(error: error)
                }
                guard count == group.chunks.reduce(0, { $0 + Int($1.rows) }) else {
                    throw JobFailure(code: "row_count", message: "the chunks had \(count) rows, not what they said")
                }
                try await connection.execute(TouchDataset(datasetID: table.datasetID))
                return Outcome(rows: count, refused: 0)
            }
        } catch is RowsRefused {
            return try await loadSifted(group, rows, copy, lease)
        }
    }

    private func loadSifted(
        _ group: ChunkGroup, _ rows: GroupRows, _ copy: PostgresQuery, _ lease: Lease
    ) async throws -> Outcome {
        let cut = try rows.cut()
        return try await lease.transaction(settling: group.jobs) { connection in
            try await markStored(group, connection)
            let refused = try await sift(cut, copy, connection)
            let refusals = refused.map { row, error in
                Refusal(chunk: rows.chunk(of: row, in: cut), row: cut.lineage(row).row, error: error)
            }
            try await raws.quarantine(refusals, of: group.chunks, connection)
            try await connection.execute(TouchDataset(datasetID: group.key.datasetID))
            return Outcome(rows: cut.count - refused.count, refused: refused.count)
        }
    }

    /// Loads what the table takes; gives the rows that it does not, with the reason of each.
    private func sift(
        _ rows: CopyBinaryRows, _ copy: PostgresQuery, _ connection: PostgresConnection
    ) async throws -> [(row: Int, error: PostgresError)] {
        var sieve = RowSieve(count: rows.count)
        var refused: [(row: Int, error: PostgresError)] = []
        while let run = sieve.next {
            try Task.checkCancellation()
            try await connection.query("savepoint run")
            do {
                let bytes = CopyBinaryEncoder.header + rows[run] + CopyBinaryEncoder.trailer
                _ = try await connection.copyIn(copy) { try await $0.write(bytes) }
                try await connection.query("release savepoint run")
                sieve.loaded()
            } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
                try await connection.execute(script: "rollback to savepoint run; release savepoint run")
                if let row = sieve.refused(line: error.copyLine) { refused.append((row, error)) }
            }
        }
        return refused
    }

    /// Before the rows: a group one of whose chunks is not waited for any more must not send them.
    private func markStored(_ group: ChunkGroup, _ connection: PostgresConnection) async throws {
        let marked = try await connection.execute(MarkStored(chunks: group.chunks))
        guard marked == group.chunks.count else {
            throw JobFailure(
                code: "overtaken", message: "a chunk was stored or replaced meanwhile", retryAfter: .milliseconds(50))
        }
    }

    private static func statement(_ group: ChunkGroup, _ table: DatasetTable) -> PostgresQuery {
        """
        copy \(identifier: table.schema, table.name)
        (\(identifiers: TableDefinition.lineage + group.key.columns)) from stdin (format binary)
        """
    }
}

extension PostgresError {
    /// The row of a COPY that the server refused, from 1: its context says `COPY web, line 3, column status`.
    var copyLine: Int? {
        guard let context, let range = context.firstRange(of: ", line ") else { return nil }
        return Int(context[range.upperBound...].prefix { $0.isNumber })
    }
}
