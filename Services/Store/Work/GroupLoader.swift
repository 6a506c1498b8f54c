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
        let cut = try rows.cut()
        return try await lease.transaction(settling: group.jobs) { connection in
            try await ledger.begin(group.chunks, connection)
            let refused = try await target.load(cut, connection)
            var refusals = refused.map { row, error in
                Refusal(chunk: rows.chunk(of: row, in: cut), row: cut.lineage(row).row, error: error)
            }
            // Rows of one record stand or fall together.
            let siblings = Self.siblings(of: refused.map(\.row), in: cut)
            if !siblings.isEmpty { try await target.remove(siblings.map(cut.lineage), connection) }
            refusals += siblings.map { row in
                Refusal(chunk: rows.chunk(of: row, in: cut), row: cut.lineage(row).row, error: nil)
            }
            try await raws.quarantine(refusals, of: group.chunks, connection)
            try await connection.execute(TouchDataset(datasetID: group.key.datasetID))
            try await ledger.finish(group.chunks, connection)
            return Outcome(rows: cut.count - refusals.count, refused: refusals.count)
        }
    }

    /// The other rows of the records that refused rows are of.
    private static func siblings(of refused: [Int], in rows: CopyBinaryRows) -> [Int] {
        let known = Set(refused)
        let records = Set(refused.map { rows.lineage($0) })
        return (0..<rows.count).filter { !known.contains($0) && records.contains(rows.lineage($0)) }
    }
}
