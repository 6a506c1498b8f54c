import Postgres

/// Makes the partitions of datasets' tables.
struct TimePartitions: Sendable {
    /// Partitions of one transaction: it locks each until its end, with its indexes.
    static let step = 50

    let pool: PostgresPool

    /// What came of it.
    struct Made: Sendable {
        /// Of the wanted ones those that there are now; the others would be too many.
        var available: Set<Int32>
        var count: Int
        /// Some are still to be made.
        var isPart = false
    }

    /// Makes partitions in transactions of their own, of the dataset's table and of the one that is to take its place.
    /// Nil where the dataset was removed, has no table, or is not partitioned.
    ///
    /// What it waits for is the dataset's row, and others who change the table: each no longer than `lockTimeout`
    /// (`lock_not_available`). Those who load and read wait for nothing of it.
    func make(_ wanted: [Int32], of datasetID: Int64, lockTimeout: Duration) async throws -> Made? {
        var count = 0
        while var made = try await makeSome(wanted, of: datasetID, lockTimeout: lockTimeout) {
            count += made.count
            made.count = count
            if !made.isPart { return made }
        }
        return nil
    }

    private func makeSome(_ wanted: [Int32], of datasetID: Int64, lockTimeout: Duration) async throws -> Made? {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = \(literal: "\(lockTimeout.milliseconds)ms")")
            // Who has waited for the row does not see a table that was made beside the dataset's meanwhile.
            _ = try await connection.query(LockDatasetShape(datasetID: datasetID))
            guard let shape = try await connection.query(FindDatasetShape(datasetID: datasetID)).first,
                let rule = shape.partitioning, shape.hasTable
            else { return nil }
            var made = try await Self.make(wanted, of: shape, rule, atMost: Self.step, connection)
            if shape.hasShadow {
                let beside = try await Self.make(wanted, of: shape.shadow, rule, atMost: Self.step, connection)
                made.count += beside.count
                made.isPart = made.isPart || beside.isPart
            }
            return made
        }
    }

    /// The same for one table, in the transaction that holds the dataset's row.
    static func make(
        _ wanted: [Int32], of shape: DatasetShape, _ rule: TimePartitioning, atMost limit: Int = .max,
        _ connection: PostgresConnection
    ) async throws -> Made {
        let list = ListTimePartitions(schema: shape.schema, table: shape.name)
        let there = try await connection.query(list).filter { !$0.isPending }.map(\.day)
        let today = rule.window.today
        var count = there.count { abs($0 - today) > rule.grain.nearDays }
        var available = Set(wanted).intersection(there)
        var missing: [Int32] = []
        // The nearest come first, so that of too many the farthest are left out.
        for day in wanted.filter({ !available.contains($0) }).sorted(by: { abs($0 - today) < abs($1 - today) }) {
            if abs(day - today) > rule.grain.nearDays {
                if count >= TimePartitioning.limit { break }
                count += 1
            }
            missing.append(day)
        }
        guard !missing.isEmpty else { return Made(available: available, count: 0) }
        let statement = MakeTimePartitions(
            schema: shape.schema, table: shape.name, days: Array(missing.prefix(limit)), grain: rule.grain)
        let made = try await connection.query(statement).first ?? 0
        available.formUnion(missing)
        return Made(available: available, count: Int(made), isPart: missing.count > limit)
    }

    /// Gives the partitions of a table that was renamed names after it.
    static func rename(
        in schema: String, of table: String, from old: String, _ connection: PostgresConnection
    ) async throws {
        for partition in try await connection.query(ListTimePartitions(schema: schema, table: table)) {
            let name = table + partition.name.dropFirst(old.count)
            try await connection.query(
                "alter table \(identifier: schema, partition.name) rename to \(identifier: name)")
        }
    }
}
