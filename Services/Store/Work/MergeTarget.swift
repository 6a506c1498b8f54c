import Postgres
import Queue
import Records

/// A table with a primary key, into which rows are merged by it.
///
/// Rows come into a temporary table first, by COPY, and from there in one statement, ``MergeStatement``.
struct MergeTarget: RowTarget {
    let table: DatasetTable
    let mode: LoadMode
    /// Those of the chunks, with the lineage.
    let columns: [String]
    /// The table is the one that is to take the dataset's place.
    let isShadow: Bool

    private var marksDeletions: Bool { columns.contains(TableDefinition.deleted) }
    private var tableColumns: [String] { columns.filter { $0 != TableDefinition.deleted } }

    func load(_ data: [UInt8], of chunks: [ChunkHead], _ connection: PostgresConnection) async throws -> LoadedRows {
        let (count, merged) = try await merge(data, connection)
        let places = Dictionary(merged.map { (Place($0.batchID, $0.output), $0.records) }, uniquingKeysWith: +)
        return LoadedRows(
            sent: count, written: chunks.map { places[Place($0.batchID, Int32($0.output))] ?? [] })
    }

    func sift(
        _ rows: CopyBinaryRows, of chunks: [ChunkHead], _ connection: PostgresConnection
    ) async throws -> (loaded: LoadedRows, refused: [RefusedRow]) {
        var refused = try await refused(rows, connection)
        refused += rows.siblings(of: refused.map(\.row)).map { ($0, nil) }
        let bad = Set(refused.map(\.row))
        var rest = CopyBinaryEncoder.header
        for row in 0..<rows.count where !bad.contains(row) { rest += rows[row..<row + 1] }
        return (try await load(rest + CopyBinaryEncoder.trailer, of: chunks, connection), refused)
    }

    /// Finds the rows that make the whole fail, by trying; nothing of that stays.
    private func refused(_ rows: CopyBinaryRows, _ connection: PostgresConnection) async throws -> [RefusedRow] {
        var sieve = RowSieve(count: rows.count)
        var refused: [RefusedRow] = []
        while let run = sieve.next {
            try Task.checkCancellation()
            try await connection.query("savepoint trial")
            do {
                _ = try await merge(CopyBinaryEncoder.header + rows[run] + CopyBinaryEncoder.trailer, connection)
                sieve.loaded()
            } catch let error as PostgresError where error.refusesRow {
                if let row = sieve.refused(line: error.copyLine) { refused.append((row, error)) }
            }
            try await connection.execute(script: "rollback to savepoint trial; release savepoint trial")
        }
        return refused
    }

    private struct Place: Hashable {
        let batch: Int64
        let output: Int32

        init(_ batch: Int64, _ output: Int32) {
            self.batch = batch
            self.output = output
        }
    }

    private func merge(
        _ data: [UInt8], _ connection: PostgresConnection
    ) async throws -> (count: Int, merged: [MergedRecords]) {
        // Rows of a group fit; jit takes longer than what it would save.
        try await connection.execute(script: "set local work_mem = '64MB'; set local jit = off")
        try await connection.query(stage)
        let copy: PostgresQuery = """
            copy \(unsafeText: MergeStatement.stage) (\(identifiers: columns)) from stdin (format binary)
            """
        let count = try await connection.copyIn(copy) { try await $0.write(data) }
        // Adding a column, and the first deletion, wait for those who hold this, and are seen by those who get it.
        try await connection.query(
            "lock table only \(identifier: table.schema, table.name) in row exclusive mode")
        guard var key = try await connection.query(FindMergeKey(datasetID: table.datasetID)).first,
            !key.primaryKey.isEmpty
        else { throw JobFailure.noPrimaryKey }
        if mode == .upsert {
            key.keepsDeletions = try await connection.query(LockDeletions(datasetID: table.datasetID)).first != nil
            if marksDeletions, !key.keepsDeletions { throw DeletionsForgotten() }
        }
        let result = try await connection.query(statement(table, key).query)
        if !isShadow, try await isRebuilt(connection) {
            _ = try await connection.query(statement(table.shadow, key).query)
        }
        if !isShadow {
            try await DatasetChanges(datasetID: table.datasetID).staged(MergeStatement.stage, connection)
        }
        // Another part of the group may need the name.
        try await connection.query("drop table \(unsafeText: MergeStatement.stage)")
        return (count, try (0..<result.rowCount).map { try MergedRecords(result[$0]) })
    }

    private func statement(_ table: DatasetTable, _ key: MergeKey) -> MergeStatement {
        MergeStatement(table: table, key: key, mode: mode, columns: tableColumns, marksDeletions: marksDeletions)
    }

    /// Whether the rows go into the table beside the dataset's, too. If not, what is in that one is the whole no more.
    private func isRebuilt(_ connection: PostgresConnection) async throws -> Bool {
        guard let rebuild = try await connection.query(FindRebuild(datasetID: table.datasetID)).first else {
            return false
        }
        guard rebuild.isGoingOn, rebuild.mode == mode else {
            try await connection.execute(EndRebuild(datasetID: table.datasetID))
            return false
        }
        guard rebuild.isMade else { throw ShadowMissing(table: table) }
        return true
    }

    /// A row that deletes may lack what the table's other rows must have.
    private var stage: PostgresQuery {
        guard marksDeletions else {
            return """
                create temporary table millrace_merge (like \(identifier: table.schema, table.name)) on commit drop
                """
        }
        return """
            create temporary table millrace_merge on commit drop as
            select t.*, null::bool as _deleted from \(identifier: table.schema, table.name) t with no data
            """
    }
}

/// The table of deleted keys was dropped since it was seen: the dataset is looked at again.
struct DeletionsForgotten: Error {}

/// The dataset is rebuilt, and the table for that is not there yet.
struct ShadowMissing: Error {
    let table: DatasetTable
}
