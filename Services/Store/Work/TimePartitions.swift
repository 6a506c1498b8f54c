import Postgres

/// Makes the partitions of datasets' tables.
struct TimePartitions: Sendable {
    let pool: PostgresPool

    /// What came of it.
    struct Made: Sendable {
        /// Of the wanted ones those that there are now; the others would be too many.
        var available: Set<Int32>
        var count: Int
    }

    /// Makes partitions in a transaction of its own, of the dataset's table and of the one that is to take its place.
    /// Nil where the dataset was removed, has no table, or is not partitioned.
    ///
    /// What it waits for is the dataset's row, and others who change the table: each no longer than `lockTimeout`
    /// (`lock_not_available`). Those who load and read wait for nothing of it.
    func make(_ wanted: [Int32], of datasetID: Int64, lockTimeout: Duration) async throws -> Made? {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = \(literal: "\(lockTimeout.milliseconds)ms")")
            guard let shape = try await connection.query(LockDatasetShape(datasetID: datasetID)).first,
                let rule = shape.partitioning, shape.hasTable
            else { return nil }
            var made = try await Self.make(wanted, of: shape, rule, connection)
            if shape.hasShadow {
                made.count += try await Self.make(wanted, of: shape.shadow, rule, connection).count
            }
            return made
        }
    }

    /// The same for one table, in the transaction that holds the dataset's row.
    static func make(
        _ wanted: [Int32], of shape: DatasetShape, _ rule: TimePartitioning, _ connection: PostgresConnection
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
            schema: shape.schema, table: shape.name, days: missing, grain: rule.grain)
        let made = try await connection.query(statement).first ?? 0
        available.formUnion(missing)
        return Made(available: available, count: Int(made))
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
