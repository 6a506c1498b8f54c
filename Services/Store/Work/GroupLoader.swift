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
        var duplicates: Int
    }

    let raws: RawRecords
    let ledger: any ChunkLedger

    /// Loads the group. Errors: what the database or the lease throws; nothing of the group is stored then.
    func load(_ group: ChunkGroup, _ rows: GroupRows, into table: DatasetTable, lease: Lease) async throws -> Outcome {
        let target = target(group.key, table)
        do {
            return try await lease.transaction(settling: group.jobs) { connection in
                try await ledger.begin(group.chunks, connection)
                let loaded: LoadedRows
                do {
                    loaded = try await target.load(rows.copyData, of: group.chunks, connection)
                } catch let error as PostgresError where error.sqlstate?.isDataFault ?? false {
                    throw RowsRefused(error: error)
                }
                guard loaded.sent == group.rows else {
                    throw JobFailure(
                        code: "row_count", message: "the chunks had \(loaded.sent) rows, not what they said")
                }
                let cut = loaded.isWhole(of: group) ? nil : try await rows.cut()
                return try await finish(group, loaded, [], cut, connection)
            }
        } catch is RowsRefused {
            return try await loadSifted(group, rows, target, lease)
        }
    }

    private func target(_ key: ChunkGroup.Key, _ table: DatasetTable) -> any RowTarget {
        let columns = TableDefinition.lineage + key.columns
        switch key.mode {
        case .append: return CopyTarget(table: table, columns: columns)
        case .upsert, .ignore:
            return MergeTarget(
                table: table, mode: key.mode, columns: columns, isShadow: ledger.fillsShadow)
        }
    }

    private func loadSifted(
        _ group: ChunkGroup, _ rows: GroupRows, _ target: any RowTarget, _ lease: Lease
    ) async throws -> Outcome {
        let cut = try await rows.cut()
        return try await lease.transaction(settling: group.jobs) { connection in
            try await ledger.begin(group.chunks, connection)
            let (loaded, refused) = try await target.sift(cut.rows, of: group.chunks, connection)
            let refusals = refused.map { row, error in
                Refusal(chunk: cut.chunk(of: row), row: cut.rows.lineage(row).row, error: error)
            }
            try await raws.quarantine(refusals, of: group.chunks, in: ledger, connection)
            return try await finish(group, loaded, refusals, cut, connection)
        }
    }

    /// Counts what was not stored, and ends the ledger's part. `cut` is nil where all was.
    private func finish(
        _ group: ChunkGroup, _ loaded: LoadedRows, _ refusals: [Refusal], _ cut: CutRows?,
        _ connection: PostgresConnection
    ) async throws -> Outcome {
        var outcome = Outcome(rows: group.rows - refusals.count, refused: refusals.count, duplicates: 0)
        if let cut {
            let lost = await withTaskExecutorPreference(globalConcurrentExecutor) {
                LostRows(refusals, loaded, of: cut)
            }
            try await lost.count(group.chunks, in: ledger, connection)
            outcome.rows = group.rows - lost.rows
            outcome.duplicates = lost.rows - refusals.count
        }
        try await connection.execute(
            TouchDataset(datasetID: group.key.datasetID, endsRebuild: group.key.mode == .append))
        try await ledger.finish(group.chunks, connection)
        return outcome
    }
}

extension LoadedRows {
    /// Whether each row of the group was written.
    fileprivate func isWhole(of group: ChunkGroup) -> Bool {
        guard let written else { return true }
        return written.reduce(0) { $0 + $1.count } == group.rows
    }
}
