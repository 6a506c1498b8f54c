import Postgres
import Queue

/// Puts tables `<dataset>.re` in the places of the datasets' own, all at once, within a transaction.
///
/// Readers wait for a moment, those who read already are waited for. Who reads several of the datasets locks them in an
/// order of its own: one that has a later table and waits for an earlier one that is held here would be ended as part
/// of a deadlock once it has waited for PostgreSQL's `deadlock_timeout`, a second. So from the first lock to the last
/// no more than ``span`` goes by; what cannot be had in that time is let go, and tried for again. Each partition has a
/// lock of its own: all of a table are waited for no longer than one.
struct TableExchange: Sendable {
    /// Longer than a second, after which an autovacuum gives way.
    static let lockTimeout = Duration.seconds(2)
    static let span = Duration.milliseconds(700)
    static let tries = 8

    /// Ascending.
    let datasetIDs: [Int64]

    /// - Throws: ``JobFailure/rebuildOutdated`` where a dataset was removed; `lock_not_available`, or a time-out, where
    ///   a lock cannot be had.
    func run(_ connection: PostgresConnection) async throws {
        var pause = Duration.milliseconds(100)
        for attempt in 1... {
            try await connection.query("savepoint exchange")
            do {
                try await exchange(connection)
                return
            } catch let error as PostgresError
                where (error.sqlstate == .lockNotAvailable || error.code == .timedOut) && attempt < Self.tries
            {
                try await connection.execute(script: "rollback to savepoint exchange; release savepoint exchange")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .seconds(3))
        }
    }

    private func exchange(_ connection: PostgresConnection) async throws {
        try await wait(Self.lockTimeout, connection)
        var shapes: [DatasetShape] = []
        for id in datasetIDs {
            guard let shape = try await connection.query(LockDatasetShape(datasetID: id)).first else {
                throw JobFailure.rebuildOutdated
            }
            shapes.append(shape)
        }
        // A step of a rollup reads the table while it holds the rollup: it ends before the table is locked.
        try await connection.execute(LockRollups(datasetIDs: datasetIDs))
        // Nobody who reads or loads waits for this; vacuum gives way, and begins no more.
        for shape in shapes {
            try await connection.query(
                "lock table \(identifier: shape.schema, shape.name) in share update exclusive mode")
        }
        var end: ContinuousClock.Instant?
        for shape in shapes {
            let patience = end.map { max(.milliseconds(1), $0 - .now) } ?? Self.lockTimeout
            try await wait(patience, connection)
            try await connection.query(
                "lock table \(identifier: shape.schema, shape.name) in access exclusive mode", timeout: patience)
            if end == nil { end = .now + Self.span }
        }
        for shape in shapes {
            if let end { try await wait(max(.milliseconds(1), end - .now), connection) }
            try await rename(shape, connection)
            try await DatasetChanges(datasetID: shape.id).tableMade(connection)
        }
        try await wait(Self.lockTimeout, connection)
    }

    private func wait(_ timeout: Duration, _ connection: PostgresConnection) async throws {
        try await connection.query("set local lock_timeout = \(literal: "\(max(1, timeout.milliseconds))ms")")
    }

    private func rename(_ shape: DatasetShape, _ connection: PostgresConnection) async throws {
        let names = [(shape.name, shape.shadow.name, ["key", "batch"])]
        let deleted = [
            (DatasetTable.deletedName(shape.name), DatasetTable.deletedName(shape.shadow.name), ["key", "at"])
        ]
        try await connection.query(TableDefinition.grant(shape.shadow))
        for (old, new, indexes) in names + (shape.keepsDeletions ? deleted : []) {
            try await connection.query("drop table \(identifier: shape.schema, old)")
            try await connection.query("alter table \(identifier: shape.schema, new) rename to \(identifier: old)")
            for index in indexes {
                try await connection.query(
                    """
                    alter index \(identifier: shape.schema, "\(new).\(index)")
                    rename to \(identifier: "\(old).\(index)")
                    """)
            }
            try await TimePartitions.rename(in: shape.schema, of: old, from: new, connection)
        }
    }
}
