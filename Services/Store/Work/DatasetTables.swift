import Observability
import Postgres
import Queue
import Records
import Synchronization

/// Where a dataset's rows go.
struct DatasetTable: Sendable {
    var datasetID: Int64
    var schema: String
    var name: String
    /// The types of the columns that the table has.
    var applied: [String: ColumnType]
    /// There is a table of deleted keys.
    var keepsDeletions: Bool

    var deletedName: String { Self.deletedName(name) }

    /// No dataset's name has a dot.
    static func deletedName(_ dataset: String) -> String { dataset + ".deleted" }

    /// Whether rows of these columns, encoded with these types, can be loaded as they are.
    func takes(columns: [String], types: [String]) -> Bool {
        zip(columns, types).allSatisfy { name, type in
            switch name {
            case TableDefinition.extra: type == ColumnType.jsonb.rawValue
            case TableDefinition.deleted: keepsDeletions && type == ColumnType.bool.rawValue
            default: applied[name]?.rawValue == type
            }
        }
    }
}

/// Makes the tables of datasets and adds the columns that are agreed on.
///
/// Each change is a transaction of its own that waits for a lock no longer than a moment, since everybody else queues
/// up behind it: with each attempt of the job twice as long as before, up to `lockTimeout`. Nobody sleeps in between: a
/// slot that did would be missing to those who load other rows. After `attempts`, and where the table has no room for a
/// column, the columns are given up: their values go to `_extra`.
final class DatasetTables: Sendable {
    enum Answer: Sendable {
        case table(DatasetTable)
        /// The columns do not fit the table: the rows have to be encoded again.
        case unfit
        /// The dataset was removed.
        case gone
        /// Somebody holds the table: to be tried again after a pause.
        case locked(Duration)
    }

    struct Patience: Sendable {
        var firstLockTimeout = Duration.milliseconds(100)
        var lockTimeout = Duration.milliseconds(500)
        var attempts = 8
        var firstPause = Duration.milliseconds(200)
        var longestPause = Duration.seconds(1)

        fileprivate func timeout(_ attempt: Int) -> Duration {
            min(firstLockTimeout * (1 << min(attempt - 1, 16)), lockTimeout)
        }

        fileprivate func pause(_ attempt: Int) -> Duration {
            min(firstPause * (1 << min(attempt - 1, 16)), longestPause)
        }
    }

    static let capacity = 10_000

    let pool: PostgresPool
    private let patience: Patience
    private let logger: Logger
    private let known = Mutex<[Int64: DatasetTable]>([:])
    /// Of partitioned datasets the first days of the partitions that there are, as far as they were wanted.
    private let partitions = Mutex<[Int64: Set<Int32>]>([:])

    init(pool: PostgresPool, patience: Patience = Patience(), logger: Logger) {
        self.pool = pool
        self.patience = patience
        self.logger = logger
    }

    /// The table of a dataset, made or altered as far as these columns need it. `attempt` is the job's, from 1.
    func table(_ datasetID: Int64, columns: [String], types: [String], attempt: Int) async throws -> Answer {
        if let table = known.withLock({ $0[datasetID] }), table.takes(columns: columns, types: types) {
            return .table(table)
        }
        let deletes = columns.contains(TableDefinition.deleted)
        let found: DatasetTable?
        do {
            found = try await change(datasetID, for: Set(columns), deletes, patience.timeout(attempt))
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {
            logger.info("a dataset's table is locked", ["dataset.id": .int(Int(datasetID)), "attempt": .int(attempt)])
            guard attempt >= patience.attempts else { return .locked(patience.pause(attempt)) }
            if deletes { throw error }
            found = try await giveUp(datasetID)
        } catch let error as PostgresError where error.sqlstate == .tooManyColumns && !deletes {
            found = try await giveUp(datasetID)
        }
        guard let table = found else { return .gone }
        known.withLock { known in
            if known.count >= Self.capacity { known.removeAll() }
            known[datasetID] = table
        }
        return table.takes(columns: columns, types: types) ? .table(table) : .unfit
    }

    /// The table was not as remembered.
    func forget(_ datasetID: Int64) {
        known.withLock { $0[datasetID] = nil }
        partitions.withLock { $0[datasetID] = nil }
    }

    enum Partitions: Sendable {
        /// The first days of those that there are, of the wanted ones all but what would be too many.
        case available(Set<Int32>)
        /// The dataset is not partitioned any more, or was removed.
        case gone
        /// Somebody changes the table: to be tried again after a pause.
        case locked(Duration)
    }

    /// Makes the partitions of a dataset's tables that are wanted and not there. `attempt` is the job's, from 1.
    func partitions(_ datasetID: Int64, _ wanted: [Int32], attempt: Int) async throws -> Partitions {
        if let there = partitions.withLock({ $0[datasetID] }), wanted.allSatisfy(there.contains) {
            return .available(there)
        }
        do {
            let making = TimePartitions(pool: pool)
            guard let made = try await making.make(wanted, of: datasetID, lockTimeout: patience.timeout(attempt)) else {
                return .gone
            }
            partitions.withLock { partitions in
                if partitions.count >= Self.capacity { partitions.removeAll() }
                partitions[datasetID, default: []].formUnion(made.available)
            }
            return .available(made.available)
        } catch let error as PostgresError where error.sqlstate == .lockNotAvailable {
            logger.info(
                "partitions cannot be made yet", ["dataset.id": .int(Int(datasetID)), "attempt": .int(attempt)])
            return .locked(patience.pause(attempt))
        }
    }

    private func change(
        _ datasetID: Int64, for wanted: Set<String>, _ keepsDeletions: Bool, _ timeout: Duration
    ) async throws -> DatasetTable? {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = \(literal: "\(timeout.milliseconds)ms")")
            return try await self.change(datasetID, for: wanted, keepsDeletions, connection)
        }
    }

    /// Alters a table only where a wanted column is missing, but then adds all that are.
    private func change(
        _ datasetID: Int64, for wanted: Set<String>, _ keepingDeletions: Bool, _ connection: PostgresConnection
    ) async throws -> DatasetTable? {
        // Who has waited for the row does not see a table that was made beside the dataset's meanwhile: the next look
        // does.
        _ = try await connection.query(LockDatasetShape(datasetID: datasetID))
        guard var shape = try await connection.query(FindDatasetShape(datasetID: datasetID)).first else { return nil }
        let columns = try await connection.query(ListColumns(datasetID: datasetID))
        var missing = columns.filter { $0.state == .agreed }
        if shape.hasTable, !missing.contains(where: { wanted.contains($0.name) }) { missing = [] }
        if !shape.hasTable {
            for statement in TableDefinition.create(shape, columns: missing) { try await connection.query(statement) }
            try await connection.query(TableDefinition.grant(shape))
            try await connection.execute(MarkTableCreated(datasetID: datasetID))
            try await DatasetChanges(datasetID: datasetID).tableMade(connection)
        } else if !missing.isEmpty {
            try await connection.query(TableDefinition.add(missing, to: shape))
            if shape.hasShadow { try await connection.query(TableDefinition.add(missing, to: shape.shadow)) }
        }
        if !missing.isEmpty {
            try await connection.execute(
                SetColumnStates(datasetID: datasetID, names: missing.map(\.name), state: .applied))
        }
        let there = columns.filter { $0.state == .applied } + missing
        if keepingDeletions, !shape.keepsDeletions {
            guard !shape.primaryKey.isEmpty else { throw JobFailure.noPrimaryKey }
            try await keepDeletions(of: shape, columns: there, connection)
            shape.keepsDeletions = true
        }
        return table(shape, there)
    }

    /// Those who merge rows without asking for deleted keys have ended when the lock is had; all others will ask.
    private func keepDeletions(
        of shape: DatasetShape, columns: [CatalogColumn], _ connection: PostgresConnection
    ) async throws {
        try await connection.query("lock table \(identifier: shape.schema, shape.name) in share mode")
        let version = shape.versionColumn.flatMap { name in columns.contains { $0.name == name } ? name : nil }
        for table in [shape] + (shape.hasShadow ? [shape.shadow] : []) {
            for statement in TableDefinition.createDeletions(table, version: version) {
                try await connection.query(statement)
            }
        }
        try await connection.execute(MarkDeletionsKept(datasetID: shape.id))
    }

    /// What is left where the table's lock cannot be had: the new columns' values go to `_extra`. A table that could
    /// not even be made, or a dataset that stays locked, is tried again with the job.
    private func giveUp(_ datasetID: Int64) async throws -> DatasetTable? {
        try await pool.withTransaction { connection -> DatasetTable? in
            guard let shape = try await connection.query(LockDatasetShape(datasetID: datasetID)).first else {
                return nil
            }
            let columns = try await connection.query(ListColumns(datasetID: datasetID))
            let missing = columns.filter { $0.state == .agreed }
            guard shape.hasTable else {
                throw PostgresError(.timedOut, "the dataset's table could not be made", doing: "make a table")
            }
            try await connection.execute(
                SetColumnStates(datasetID: datasetID, names: missing.map(\.name), state: .extra))
            self.logger.warning(
                "a dataset's table stayed locked or is full: values of new columns go to _extra",
                ["dataset": .string(shape.name), "columns": .string(missing.map(\.name).joined(separator: " "))])
            return self.table(shape, columns.filter { $0.state == .applied })
        }
    }

    private func table(_ shape: DatasetShape, _ columns: [CatalogColumn]) -> DatasetTable {
        DatasetTable(
            datasetID: shape.id, schema: shape.schema, name: shape.name,
            applied: Dictionary(columns.map { ($0.name, $0.type) }, uniquingKeysWith: { first, _ in first }),
            keepsDeletions: shape.keepsDeletions)
    }
}

extension JobFailure {
    /// Rows are to be merged by a key, and the dataset has none: it was removed, and made anew without one.
    static let noPrimaryKey = JobFailure(
        code: "no_primary_key", message: "rows are merged by the dataset's primary key, and it has none",
        isPermanent: true)

    static func tableLocked(_ pause: Duration) -> JobFailure {
        JobFailure(
            code: "table_locked", message: "the dataset's table is to be changed, and somebody holds it",
            retryAfter: pause)
    }
}

extension Duration {
    /// Whole milliseconds.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
