import JSON
import Postgres
import Queue
import Records

/// Loads a group of chunks: rows, ledger and settling in one transaction.
struct GroupLoader: Sendable {
    /// Rows that the table refused: the data are at fault.
    private struct RowsRefused: Error {
        let error: PostgresError
    }

    /// Chunks that go into one table by one COPY.
    struct Part: Sendable {
        var table: DatasetTable
        var key: ChunkGroup.Key
        var chunks: [ChunkHead]
        var rows: GroupRows

        /// Of all chunks.
        fileprivate var count: Int { chunks.reduce(0) { $0 + Int($1.rows) } }
    }

    /// What was loaded.
    struct Outcome: Sendable {
        var rows = 0
        var refused = 0
        var duplicates = 0
        var expired = 0
        /// Rollups are to follow.
        var wakesRollups = false
        /// Refused rows by the codes of why.
        var reasons: [String: Int] = [:]
    }

    let raws: RawRecords
    let ledger: any ChunkLedger
    /// The dataset's row is changed with each part, and so held to the transaction's end; else its caller changes it.
    var touchesDataset = true

    /// Loads the group. Errors: what the database or the lease throws; nothing of the group is stored then.
    func load(_ group: ChunkGroup, _ parts: [Part], lease: Lease) async throws -> Outcome {
        do {
            return try await transaction(group, lease) { connection in
                var outcome = Outcome()
                for part in parts { try await write(part, &outcome, connection) }
                return outcome
            }
        } catch is RowsRefused {
            var cut: [(part: Part, rows: CutRows)] = []
            for part in parts { cut.append((part, try await part.rows.cut())) }
            let all = cut
            return try await transaction(group, lease) { connection in
                var outcome = Outcome()
                for (part, rows) in all { try await sift(part, rows, &outcome, connection) }
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
    func load(_ part: Part, _ outcome: inout Outcome, within connection: PostgresConnection) async throws {
        try await connection.query("savepoint part")
        do {
            try await write(part, &outcome, connection)
            try await connection.query("release savepoint part")
        } catch is RowsRefused {
            try await connection.execute(script: "rollback to savepoint part; release savepoint part")
            try await sift(part, try await part.rows.cut(), &outcome, connection)
        }
    }

    private func target(_ part: Part) -> any RowTarget {
        let columns = TableDefinition.lineage + part.key.columns
        switch part.key.mode {
        case .append: return CopyTarget(table: part.table, columns: columns)
        case .upsert, .ignore:
            return MergeTarget(
                table: part.table, mode: part.key.mode, columns: columns, isShadow: ledger.fillsShadow)
        }
    }

    private func write(_ part: Part, _ outcome: inout Outcome, _ connection: PostgresConnection) async throws {
        let loaded: LoadedRows
        do {
            loaded = try await target(part).load(part.rows.copyData, of: part.chunks, connection)
        } catch let error as PostgresError where error.refusesRow {
            throw RowsRefused(error: error)
        }
        guard loaded.sent == part.count - part.rows.taken.count else {
            throw JobFailure(code: "row_count", message: "the chunks had \(loaded.sent) rows, not what they said")
        }
        let isWhole =
            loaded.written.map { $0.reduce(0) { $0 + $1.count } == part.count } ?? (part.rows.taken.count == 0)
        let cut = isWhole ? nil : try await part.rows.cut()
        let refusals = part.rows.taken.refusals
        try await raws.quarantine(refusals, of: part.chunks, in: ledger, connection)
        try await finish(part, loaded, refusals, cut, &outcome, connection)
    }

    /// Loads what the table takes, and quarantines the rest.
    private func sift(
        _ part: Part, _ cut: CutRows, _ outcome: inout Outcome, _ connection: PostgresConnection
    ) async throws {
        let (loaded, refused) = try await target(part).sift(cut.rows, of: part.chunks, connection)
        let refusals =
            part.rows.taken.refusals
            + refused.map { row, error in
                Refusal(chunk: cut.chunk(of: row), row: cut.rows.lineage(row).row, entry: error?.quarantineEntry)
            }
        try await raws.quarantine(refusals, of: part.chunks, in: ledger, connection)
        try await finish(part, loaded, refusals, cut, &outcome, connection)
    }

    /// Counts what was not stored. `cut` is nil where all was.
    private func finish(
        _ part: Part, _ loaded: LoadedRows, _ refusals: [Refusal], _ cut: CutRows?, _ outcome: inout Outcome,
        _ connection: PostgresConnection
    ) async throws {
        outcome.rows += part.count
        if let cut {
            let lost = await withTaskExecutorPreference(globalConcurrentExecutor) {
                LostRows(refusals, loaded, part.rows.taken, of: cut)
            }
            try await lost.count(part.chunks, in: ledger, connection)
            outcome.rows -= lost.rows
            outcome.refused += refusals.count
            for refusal in refusals {
                if let code = refusal.entry?["code"]?.string { outcome.reasons[code, default: 0] += 1 }
            }
            let expired = part.rows.taken.expired.reduce(0) { $0 + $1.count }
            outcome.expired += expired
            outcome.duplicates += lost.rows - refusals.count - expired
        }
        if !ledger.fillsShadow, try await ledger.noteRows(of: part.chunks, part.key, connection) {
            outcome.wakesRollups = true
        }
        guard touchesDataset else { return }
        try await connection.execute(
            TouchDataset(datasetID: part.table.datasetID, endsRebuild: part.key.mode == .append))
    }
}
