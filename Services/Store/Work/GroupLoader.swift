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
        var chunks = 0
        var bytes = 0
    }

    let raws: RawRecords
    let ledger: any ChunkLedger

    /// Loads the group. Errors: what the database or the lease throws; nothing of the group is stored then.
    func load(_ group: ChunkGroup, _ rows: GroupRows, into table: DatasetTable, lease: Lease) async throws -> Outcome {
        let target = CopyTarget(table: table, columns: TableDefinition.lineage + group.key.columns)
        let copy = target.copy
        do {
            return try await lease.transaction(settling: group.jobs) { connection in
                try await ledger.begin(group.chunks, connection)
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
                try await ledger.finish(group.chunks, connection)
                return Outcome(rows: count, refused: 0)
            }
        } catch is RowsRefused {
            return try await loadSifted(group, rows, target, lease)
        }
    }

    private func loadSifted(
        _ group: ChunkGroup, _ rows: GroupRows, _ target: CopyTarget, _ lease: Lease
    ) async throws -> Outcome {
        try await lease.transaction(settling: group.jobs) { connection in
            try await ledger.begin(group.chunks, connection)
            let outcome = try await sift(group, rows, target, connection)
            try await connection.execute(TouchDataset(datasetID: group.key.datasetID))
            try await ledger.finish(group.chunks, connection)
            return outcome
        }
    }

    /// Loads rows only, within a transaction that goes on whatever the table refuses: that is quarantined. The outputs
    /// are in the ledger by then.
    func load(
        _ group: ChunkGroup, _ rows: GroupRows, into table: DatasetTable, within connection: PostgresConnection
    ) async throws -> Outcome {
        let target = CopyTarget(table: table, columns: TableDefinition.lineage + group.key.columns)
        do {
            let count = try await target.attempt(connection) { connection in
                try await connection.copyIn(target.copy) { try await $0.write(rows.copyData) }
            }
            guard count == group.chunks.reduce(0, { $0 + Int($1.rows) }) else {
                throw JobFailure(code: "row_count", message: "the chunks had \(count) rows, not what they said")
            }
            return Outcome(rows: count, refused: 0)
        } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
            return try await sift(group, rows, target, connection)
        }
    }

    /// Loads what the table takes, and quarantines the rest.
    private func sift(
        _ group: ChunkGroup, _ rows: GroupRows, _ target: CopyTarget, _ connection: PostgresConnection
    ) async throws -> Outcome {
        let cut = try rows.cut()
        let refused = try await target.load(cut, connection)
        let refusals = refused.map { row, error in
            Refusal(chunk: rows.chunk(of: row, in: cut), row: cut.lineage(row).row, error: error)
        }
        try await raws.quarantine(refusals, of: group.chunks, connection)
        return Outcome(rows: cut.count - refused.count, refused: refused.count)
    }
}
