import Catalog
import HTTP
import JSON
import Postgres

/// Datasets in the catalog: put, found, measured, removed.
struct DatasetCatalog: Sendable {
    /// A table up to this size is counted: a thousand pages, in some milliseconds.
    static let exactBytes: Int64 = 8 << 20

    /// Transactions that one PUT may take, and how often it tries again to lock the table.
    private static let rounds = 20
    private static let lockAttempts = 6
    /// How long a table with nothing but dead rows is searched while others wait.
    private static let emptyLimit = Duration.seconds(1)

    let pool: PostgresPool

    /// A dataset with its columns.
    struct Found: Sendable {
        var dataset: StoredDataset
        var columns: [CatalogColumn]

        /// The columns that can be read; where nothing was stored yet, those that the table is to have.
        var readable: [CatalogColumn] { dataset.hasTable ? columns.filter { $0.state == .applied } : columns }
    }

    struct Put: Sendable {
        var found: Found
        var created: Bool
    }

    /// How much a dataset holds.
    struct Size: Sendable {
        var rows: Int64 = 0
        var isExact = true
        var bytes: Int64 = 0
        /// The first and the last value of the time column; nil for an empty or a large table.
        var span: (first: JSONValue, last: JSONValue)?
    }

    /// Throws `not_found`.
    func find(_ name: ResourceName, workspaceID: Int64) async throws -> Found {
        let statement = FindDataset(workspaceID: workspaceID, name: name.text)
        return try await pool.withConnection { connection in
            guard let dataset = try await connection.query(statement).first else {
                throw Problem(.notFound, "there is no dataset \(name)")
            }
            return Found(dataset: dataset, columns: try await connection.query(ListColumns(datasetID: dataset.id)))
        }
    }

    /// Creates the dataset or gives it another definition; one that is the current one changes nothing. `check` sees
    /// the current version's tag before anything is written. Throws `incompatible_change` with the paths.
    ///
    /// Who reads the dataset or loads into it waits for catalog changes only, each time no longer than
    /// ``RequiredColumns/lockTimeout``; the rows are looked at in between, without a lock that they wait for. Where it
    /// comes to nothing, the check that it needed goes at once, if it can.
    func put(
        _ name: ResourceName, _ definition: DatasetDefinition, workspaceID: Int64,
        check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws -> Put {
        var required: RequiredColumns?
        do {
            return try await put(name, definition, workspaceID, check, &required)
        } catch {
            if let required, !Self.isLost(error) { await dropCheck(required, waits: true) }
            throw error
        }
    }

    /// - Parameter required: what the table may have a check for.
    private func put(
        _ name: ResourceName, _ definition: DatasetDefinition, _ workspaceID: Int64,
        _ check: @escaping @Sendable (EntityTag?) throws -> Void, _ required: inout RequiredColumns?
    ) async throws -> Put {
        var looked: Set<String> = []
        var locked = 0
        for _ in 0..<Self.rounds {
            let step: Step
            do {
                let (seen, isLast) = (looked, locked == Self.lockAttempts)
                step = try await pool.withTransaction { connection in
                    try await connection.query("set local lock_timeout = '2s'")
                    let before = try await connection.query(LockDataset(workspaceID: workspaceID, name: name.text))
                    try await RequiredColumns.limitWaits(isLast: isLast, connection)
                    return try await self.step(
                        name, definition, workspaceID, before.first, looked: seen, check, connection)
                }
            } catch let error as PostgresError where error.sqlstate == .lockNotAvailable && locked < Self.lockAttempts {
                locked += 1
                try await Task.sleep(for: RequiredColumns.lockTimeout)
                continue
            }
            switch step {
            case .done(let put, let unwanted):
                if let unwanted { await dropCheck(unwanted, waits: false) }
                return put
            case .look(let columns):
                required = columns
                try await columns.named(in: definition) { try await pool.withConnection(columns.look) }
                looked = columns.columns
            case .scan(let columns):
                required = columns
                try await columns.named(in: definition) { try await columns.scan(pool) }
            }
        }
        throw Problem(.conflict, "others change the dataset's table again and again; repeat the request")
    }

    /// The connection or the server is gone, or nobody knows whether the change is made: what is left is to be found by
    /// who comes next.
    private static func isLost(_ error: any Error) -> Bool {
        guard let error = error as? PostgresError else { return false }
        return error.isUnavailable || error.code == .commitUnknown
    }

    /// What a transaction of a PUT came to.
    private enum Step: Sendable {
        /// A check that the table may have is not wanted.
        case done(Put, RequiredColumns?)
        /// Rows may forbid that columns become NOT NULL: to be looked for before anything is changed.
        case look(RequiredColumns)
        /// The table takes no more rows without a value; those that it has are to be scanned.
        case scan(RequiredColumns)
    }

    private func step(
        _ name: ResourceName, _ definition: DatasetDefinition, _ workspaceID: Int64, _ before: StoredDataset?,
        looked: Set<String>, _ check: @Sendable (EntityTag?) throws -> Void, _ connection: PostgresConnection
    ) async throws -> Step {
        let json = definition.json
        var unwanted: RequiredColumns?
        try check(before.map { EntityTag(version: $0.version) })
        if let before {
            let isSame = before.isDeclared && (try? JSONValue.parse(before.definition)) == json
            if !isSame, let step = try await change(before, to: definition, looked: looked, connection) { return step }
            // Of a change that was broken off, and that nobody wants any more.
            if isSame, before.hasTable { unwanted = RequiredColumns(before, []) }
        } else {
            let insert = InsertDataset(workspaceID: workspaceID, name: name.text, definition: json.serialized())
            guard let id = try await connection.query(insert).first else {
                throw Problem(.conflict, "a dataset of this name was made at the same moment; repeat the request")
            }
            try await connection.execute(DeclareColumns(datasetID: id, columns: definition.columns))
        }
        let find = FindDataset(workspaceID: workspaceID, name: name.text)
        guard let dataset = try await connection.query(find).first else {
            throw Problem(.internalError, "the dataset was not stored")
        }
        let columns = try await connection.query(ListColumns(datasetID: dataset.id))
        return .done(Put(found: Found(dataset: dataset, columns: columns), created: before == nil), unwanted)
    }

    /// Nil once the change is made; else what has to be done before.
    private func change(
        _ dataset: StoredDataset, to definition: DatasetDefinition, looked: Set<String>,
        _ connection: PostgresConnection
    ) async throws -> Step? {
        let columns = try await connection.query(ListColumns(datasetID: dataset.id))
        let old = try JSONValue.parse(dataset.definition)
        let key = (old["primary_key"]?.array ?? []).compactMap(\.string)
        try await checkRebuild(dataset, connection)
        let change = DatasetChange(
            to: definition, from: columns, primaryKey: key, partitioning: TimePartitioning(old))
        guard change.impossible.isEmpty else {
            throw Problem(.incompatibleChange, "the dataset's columns forbid the change", errors: change.impossible)
        }
        if key != definition.primaryKey { try await checkMergers(dataset, key, connection) }
        let required = RequiredColumns(dataset, change.nullability)
        let keepsTable = dataset.hasTable && change.forbidden.isEmpty
        if keepsTable, !required.columns.isEmpty {
            guard required.columns == looked else { return .look(required) }
            guard try await required.isChecked(connection) else { return .scan(required) }
        }
        // What deleted a key is ranked by the column.
        if old["version_column"]?.string != definition.versionColumn { try await forgetDeletions(dataset, connection) }
        if keepsTable {
            try await required.alter(nullable: change.nullability.filter(\.isNullable).map(\.name), connection)
        } else if dataset.hasTable {
            try await dropIfEmpty(dataset, change.forbidden, connection)
        }
        try await connection.execute(ReplaceDataset(id: dataset.id, definition: definition.json.serialized()))
        try await connection.execute(DeclareColumns(datasetID: dataset.id, columns: definition.columns))
        try await connection.execute(UndeclareColumns(datasetID: dataset.id, names: change.undeclared))
        return nil
    }

    /// The check stands in the way of rows that the dataset may have after all. Who cannot lock the table, because of
    /// another PUT's scan maybe, leaves it to maintenance, as with any other trouble: what the client is to hear is
    /// what became of the change.
    private func dropCheck(_ required: RequiredColumns, waits: Bool) async {
        try? await pool.withTransaction { connection in
            try await RequiredColumns.limitWaits(isLast: waits, connection)
            try await required.dropIfThere(connection)
        }
    }

    /// A table without rows forbids nothing: it is dropped, and made again as it is declared now.
    private func dropIfEmpty(
        _ dataset: StoredDataset, _ forbidden: [FieldFault], _ connection: PostgresConnection
    ) async throws {
        let first: PostgresQuery = "select from \(identifier: dataset.schema, dataset.name) limit 1"
        let refused = Problem(.incompatibleChange, "the dataset has rows that forbid the change", errors: forbidden)
        // A table that is to stay is not locked for that.
        guard try await connection.query(first).rowCount == 0 else { throw refused }
        try await connection.query(
            "lock table \(identifier: dataset.schema, dataset.name) in access exclusive mode")
        guard try await connection.query(first, timeout: Self.emptyLimit).rowCount == 0 else { throw refused }
        try await connection.query("drop table \(identifier: dataset.schema, dataset.name)")
        try await forgetDeletions(dataset, connection)
        try await connection.execute(ForgetTable(datasetID: dataset.id))
    }

    /// Pipelines that merge rows by the key are in its way. Who puts one locks the dataset before.
    private func checkMergers(
        _ dataset: StoredDataset, _ key: [String], _ connection: PostgresConnection
    ) async throws {
        let mergers = try await connection.query(FindMergers(datasetID: dataset.id))
        guard !mergers.isEmpty else { return }
        let fault = FieldFault(path: "primary_key", message: "is \(key), by which pipelines upsert or ignore rows")
        throw Problem(
            .incompatibleChange, "pipelines merge rows by the key: \(mergers.joined(separator: ", "))", errors: [fault])
    }

    private func checkRebuild(_ dataset: StoredDataset, _ connection: PostgresConnection) async throws {
        guard let rebuild = try await connection.query(FindRebuild(datasetID: dataset.id)).first, rebuild.isGoingOn
        else { return }
        throw Problem(.inUse, "run \(rebuild.run) is rebuilding the dataset")
    }

    /// What a rebuild that came to nothing has left.
    private func dropShadow(_ dataset: StoredDataset, _ connection: PostgresConnection) async throws {
        let shadow = DatasetTable.shadowName(dataset.name)
        for name in [shadow, DatasetTable.deletedName(shadow)] {
            try await connection.query("drop table if exists \(identifier: dataset.schema, name)")
        }
    }

    private func forgetDeletions(_ dataset: StoredDataset, _ connection: PostgresConnection) async throws {
        let name = DatasetTable.deletedName(dataset.name)
        try await connection.query("drop table if exists \(identifier: dataset.schema, name)")
        try await connection.execute(ForgetDeletions(datasetID: dataset.id))
    }

    /// Drops the dataset's table and forgets it. Throws `in_use` while a pipeline that was put uses it.
    func remove(
        _ name: ResourceName, workspaceID: Int64, check: @escaping @Sendable (EntityTag?) throws -> Void
    ) async throws {
        try await pool.withTransaction { connection in
            try await connection.query("set local lock_timeout = '2s'")
            let lock = LockDataset(workspaceID: workspaceID, name: name.text)
            guard let dataset = try await connection.query(lock).first else {
                throw Problem(.notFound, "there is no dataset \(name)")
            }
            try check(EntityTag(version: dataset.version))
            try await checkRebuild(dataset, connection)
            let users = try await connection.query(FindDatasetUse(workspaceID: workspaceID, dataset: name.text))
            guard users.isEmpty else {
                throw Problem(.inUse, "pipelines use the dataset: \(users.joined(separator: ", "))")
            }
            if dataset.hasTable {
                try await connection.query("drop table if exists \(identifier: dataset.schema, dataset.name)")
            }
            try await forgetDeletions(dataset, connection)
            try await dropShadow(dataset, connection)
            try await connection.execute(DeleteDataset(id: dataset.id))
        }
    }

    /// Counts a small table, estimates a large one.
    func measure(_ found: Found) async throws -> Size {
        let dataset = found.dataset
        guard dataset.hasTable else { return Size() }
        let definition = try JSONValue.parse(dataset.definition)
        let timeColumn = definition["time_column"]?.string
        return try await pool.withTransaction(readOnly: true) { connection in
            let statement = MeasureTables(datasets: [dataset])
            guard let measured = try await connection.query(statement).first else { return Size() }
            guard measured.heap <= Self.exactBytes else {
                return Size(rows: measured.rows, isExact: false, bytes: measured.total, span: nil)
            }
            try await connection.query("set local timezone = 'UTC'")
            let time = timeColumn ?? "_batch"
            let count: PostgresQuery = """
                select count(*), to_json(min(\(identifier: time)))::text, to_json(max(\(identifier: time)))::text
                from \(identifier: dataset.schema, dataset.name)
                """
            let row = try await connection.query(count, timeout: .seconds(10))[0]
            var size = Size(rows: try row.int8(0), isExact: true, bytes: measured.total, span: nil)
            if timeColumn != nil, let first = try row.optionalText(1), let last = try row.optionalText(2) {
                size.span = (Self.time(first), Self.time(last))
            }
            return size
        }
    }

    /// A time as `to_json` writes it in UTC, with `Z`.
    private static func time(_ json: String) -> JSONValue {
        guard let text = (try? JSONValue.parse(json))?.string else { return .null }
        return .string(text.hasSuffix("+00:00") ? text.dropLast(6) + "Z" : text)
    }
}

extension RequiredColumns {
    fileprivate init(_ dataset: StoredDataset, _ changes: [DatasetChange.NullabilityChange]) {
        self.init(
            schema: dataset.schema, table: dataset.name, columns: Set(changes.filter { !$0.isNullable }.map(\.name)))
    }

    /// Runs `body`; what is missing becomes `incompatible_change` with the column's path.
    fileprivate func named(in definition: DatasetDefinition, _ body: () async throws -> Void) async throws {
        do {
            // Rows are looked at for as long as it takes: nobody waits for that.
            try await StatementLimit.$current.withValue(nil) { try await body() }
        } catch let missing as Missing {
            let place = definition.columns.firstIndex { $0.name == missing.column } ?? 0
            let fault = FieldFault(path: "columns[\(place)].nullable", message: "there are rows without a value")
            throw Problem(.incompatibleChange, "the dataset has rows that forbid the change", errors: [fault])
        }
    }
}
