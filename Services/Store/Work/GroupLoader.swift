import Postgres
import Queue
import Records

/// Loads a group of chunks: rows, ledger and settling in one transaction.
struct GroupLoader: Sendable {
    /// Rows that a table refused: the data are at fault.
    private struct RowsRefused: Error {
        let error: PostgresError
    }

    /// Chunks that go into one table by one COPY.
    struct Part: Sendable {
        var table: DatasetTable
        var columns: [String]
        var chunks: [ChunkHead]
        var rows: GroupRows

        fileprivate var target: CopyTarget {
            CopyTarget(table: table, columns: TableDefinition.lineage + columns)
        }
    }

    /// What was loaded.
    struct Outcome: Sendable {
        var rows = 0
        var refused = 0
        var chunks = 0
        var bytes = 0
    }

    let raws: RawRecords
    let ledger: any ChunkLedger

    /// Loads the group. Errors: what the database or the lease throws; nothing of the group is stored then.
    func load(_ group: ChunkGroup, _ parts: [Part], lease: Lease) async throws -> Outcome {
        do {
            return try await transaction(group, lease) { connection in
                var outcome = Outcome()
                do {
                    for part in parts { outcome.rows += try await copy(part, connection) }
                } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
                    throw RowsRefused(error: error)
                }
                return outcome
            }
        } catch is RowsRefused {
            let cut = try parts.map { ($0, try $0.rows.cut()) }
            return try await transaction(group, lease) { connection in
                var outcome = Outcome()
                for (part, rows) in cut {
                    let refused = try await sift(part, rows, connection)
                    outcome.rows += rows.count - refused
                    outcome.refused += refused
                }
                return outcome
            }
        }
    }

    private func transaction(
        _ group: ChunkGroup, _ lease: Lease,
        _ rows: @escaping @Sendable (PostgresConnection) async throws -> Outcome
    ) async throws -> Outcome {
        let chunks = group.chunks
        return try await lease.transaction(settling: group.jobs) { connection in
            try await ledger.begin(chunks, connection)
            let outcome = try await rows(connection)
            try await ledger.finish(chunks, connection)
            return outcome
        }
    }

    /// Loads rows only, within a transaction that goes on whatever the table refuses: that is quarantined. The outputs
    /// are in the ledger by then.
    func load(_ part: Part, within connection: PostgresConnection) async throws -> Outcome {
        do {
            return Outcome(rows: try await part.target.attempt(connection) { try await copy(part, $0) })
        } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
            let rows = try part.rows.cut()
            let refused = try await sift(part, rows, connection)
            return Outcome(rows: rows.count - refused, refused: refused)
        }
    }

    private func copy(_ part: Part, _ connection: PostgresConnection) async throws -> Int {
        let count = try await connection.copyIn(part.target.copy) { try await $0.write(part.rows.copyData) }
        guard count == part.chunks.reduce(0, { $0 + Int($1.rows) }) else {
            throw JobFailure(code: "row_count", message: "the chunks had \(count) rows, not what they said")
        }
        try await connection.execute(TouchDataset(datasetID: part.table.datasetID))
        return count
    }

    /// Loads what the table takes, and quarantines the rest; gives how many rows that is.
    private func sift(_ part: Part, _ rows: CopyBinaryRows, _ connection: PostgresConnection) async throws -> Int {
        let refused = try await part.target.load(rows, connection)
        var refusals = refused.map { row, error in
            Refusal(chunk: part.rows.chunk(of: row, in: rows), row: rows.lineage(row).row, error: error)
        }
        // Rows of one record stand or fall together.
        let siblings = Self.siblings(of: refused.map(\.row), in: rows)
        if !siblings.isEmpty { try await part.target.remove(siblings.map(rows.lineage), connection) }
        refusals += siblings.map { row in
            Refusal(chunk: part.rows.chunk(of: row, in: rows), row: rows.lineage(row).row, error: nil)
        }
        try await raws.quarantine(refusals, of: part.chunks, connection)
        try await connection.execute(TouchDataset(datasetID: part.table.datasetID))
        return refusals.count
    }

    /// The other rows of the records that refused rows are of.
    private static func siblings(of refused: [Int], in rows: CopyBinaryRows) -> [Int] {
        let known = Set(refused)
        let records = Set(refused.map { rows.lineage($0) })
        return (0..<rows.count).filter { !known.contains($0) && records.contains(rows.lineage($0)) }
    }
}
