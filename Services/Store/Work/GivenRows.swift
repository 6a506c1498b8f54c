import Queue
import Records

/// The rows of one COPY, and how the dataset that they are for is partitioned.
struct GivenRows: Sendable {
    var part: ChunkGroup.Part
    var rows: GroupRows
    /// As the definition has it now. Nil where the table is one piece.
    var rule: TimePartitioning?

    /// The rows that can be sent: partitions are made for them, those that have expired are left out, and those for
    /// which there can be no partition are refused.
    func placed(in tables: DatasetTables, attempt: Int) async throws -> GroupRows {
        guard let rule else { return rows }
        let places = try await places(rule)
        switch try await tables.partitions(part.key.datasetID, places.starts, attempt: attempt) {
        case .gone: return rows
        case .locked(let pause): throw JobFailure.tableLocked(pause)
        case .available(let available): return await rows.sent(by: places, available)
        }
    }

    func places(_ rule: TimePartitioning) async throws -> TimePlaces {
        let (cut, window) = (try await rows.cut(), rule.window)
        return await withTaskExecutorPreference(globalConcurrentExecutor) {
            TimePlaces(cut, columns: part.key.columns, rule: rule, window: window)
        }
    }
}

extension GroupRows {
    func sent(by places: TimePlaces, _ available: Set<Int32>) async -> GroupRows {
        if places.areAll(in: available) { return self }
        return await withTaskExecutorPreference(globalConcurrentExecutor) { places.rows(into: available) }
    }
}
