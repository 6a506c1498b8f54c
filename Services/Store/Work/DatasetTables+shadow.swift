import Postgres
import Queue

extension DatasetTables {
    /// The table that is to take the place of a dataset's, made if it is not there yet. The dataset's own is there.
    /// Throws ``JobFailure/rebuildOutdated`` where the dataset is not rebuilt, by the run if one is named.
    func shadow(of table: DatasetTable, run: Int64?) async throws -> DatasetTable {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '10s'")
            guard let shape = try await connection.query(LockDatasetShape(datasetID: table.datasetID)).first,
                let rebuild = try await connection.query(FindRebuild(datasetID: table.datasetID)).first,
                run == nil || rebuild.run == run
            else { throw JobFailure.rebuildOutdated }
            if !rebuild.isMade {
                try await self.makeShadow(shape, connection)
                try await connection.execute(MarkShadowMade(run: rebuild.run, datasetID: table.datasetID))
            }
            return table.shadow
        }
    }

    private func makeShadow(_ shape: DatasetShape, _ connection: PostgresConnection) async throws {
        let shadow = shape.shadow
        for name in [shadow.name, DatasetTable.deletedName(shadow.name)] {
            try await connection.query("drop table if exists \(identifier: shape.schema, name)")
        }
        let columns = try await connection.query(ListColumns(datasetID: shape.id)).filter { $0.state == .applied }
        for statement in TableDefinition.create(shadow, columns: columns) { try await connection.query(statement) }
        if let rule = shape.partitioning {
            let list = ListTimePartitions(schema: shape.schema, table: shape.name)
            let days = try await connection.query(list).filter { !$0.isPending }.map(\.day)
            _ = try await TimePartitions.make(days, of: shadow, rule, connection)
        }
        guard shape.keepsDeletions else { return }
        let version = shape.versionColumn.flatMap { name in columns.contains { $0.name == name } ? name : nil }
        for statement in TableDefinition.createDeletions(shadow, version: version) {
            try await connection.query(statement)
        }
    }
}

extension DatasetTable {
    /// No dataset's name has a dot; with all that is put behind it, it is no longer than a name may be.
    static func shadowName(_ dataset: String) -> String { dataset + ".re" }

    var shadow: DatasetTable {
        var table = self
        table.name = Self.shadowName(name)
        return table
    }
}

extension DatasetShape {
    var shadow: DatasetShape {
        var shape = self
        shape.name = DatasetTable.shadowName(name)
        return shape
    }
}
