import JSON
import Postgres
import Records
import Synchronization

/// A dataset as records are fitted to it.
struct DatasetSchema: Sendable {
    var id: Int64
    var settings: DatasetSettings
    var primaryKey: [String]
    /// Its table is cut by time.
    var isPartitioned: Bool
    /// In the table's order.
    var columns: [AgreedColumn] {
        didSet { places = Self.places(of: columns) }
    }
    private var places: [String: Int]

    init(
        id: Int64, settings: DatasetSettings, primaryKey: [String], isPartitioned: Bool = false,
        columns: [AgreedColumn]
    ) {
        self.id = id
        self.settings = settings
        self.primaryKey = primaryKey
        self.isPartitioned = isPartitioned
        self.columns = columns
        places = Self.places(of: columns)
    }

    /// The column of this name. One whose name is only canonically equivalent is another.
    func column(_ name: String) -> AgreedColumn? {
        guard let place = places[name], ColumnName.isSame(columns[place].name, name) else { return nil }
        return columns[place]
    }

    /// Whether there is a column of this name or of another spelling of it.
    func isTaken(_ name: String) -> Bool { places[name] != nil }

    /// Gives it the columns that an agreement would add if nobody else added any.
    mutating func foresee(_ wanted: [(name: String, type: ColumnType)]) {
        let room = Int(AgreeColumns.inferredLimit) - columns.count(where: { !$0.declared })
        columns += wanted.prefix(max(0, room)).map {
            AgreedColumn(name: $0.name, type: $0.type, nullable: true, state: .agreed)
        }
    }

    private static func places(of columns: [AgreedColumn]) -> [String: Int] {
        Dictionary(columns.enumerated().map { ($1.name, $0) }, uniquingKeysWith: { first, _ in first })
    }
}

/// Datasets' schemas, remembered for a moment, and the agreement on new columns.
///
/// What is remembered may be old: a column that was added meanwhile is found when the agreement is asked for it, a
/// column that changed its type when store refuses the chunk.
final class SchemaRegistry: Sendable {
    private struct Name: Hashable {
        var workspaceID: Int64
        var dataset: String
    }

    private struct Entry {
        var schema: DatasetSchema
        var until: ContinuousClock.Instant
    }

    static let retention = Duration.seconds(2)
    static let capacity = 1_000

    private let pool: PostgresPool
    private let entries = Mutex<[Name: Entry]>([:])

    init(pool: PostgresPool) {
        self.pool = pool
    }

    /// The dataset's schema; the dataset is made as an inferred one if there is none. In a dry run it is not: the
    /// schema then has the id 0 and no columns.
    func schema(_ dataset: String, workspaceID: Int64, isDry: Bool = false) async throws -> DatasetSchema {
        let name = Name(workspaceID: workspaceID, dataset: dataset)
        let now = ContinuousClock.now
        if let entry = entries.withLock({ $0[name] }), entry.until > now { return entry.schema }
        let schema: DatasetSchema? = try await pool.withConnection { connection in
            let found =
                isDry
                ? try await connection.query(FindDatasetHead(workspaceID: workspaceID, name: dataset)).first
                : try await connection.query(EnsureDataset(workspaceID: workspaceID, name: dataset)).first
            if isDry, found == nil { return nil }
            guard let head = found else {
                throw PostgresError(.decode, "the dataset was removed meanwhile", doing: "find a dataset")
            }
            let definition = try JSONValue.parse(head.definition)
            let columns = try await connection.query(ListAgreedColumns(datasetID: head.id))
            return DatasetSchema(
                id: head.id, settings: DatasetSettings(definition: definition, declared: head.declared),
                primaryKey: (definition["primary_key"]?.array ?? []).compactMap(\.string),
                isPartitioned: definition["partition"]?.string ?? "none" != "none", columns: columns)
        }
        guard let schema else {
            let settings = DatasetSettings(definition: [:], declared: false)
            return DatasetSchema(id: 0, settings: settings, primaryKey: [], columns: [])
        }
        remember(schema, name, now)
        return schema
    }

    /// Adds columns to the dataset, and gives its schema with what all agree on: a column that another batch added
    /// first has that one's type, and one beyond the limit is missing.
    func agree(
        on wanted: [(name: String, type: ColumnType)], of dataset: String, workspaceID: Int64, schema: DatasetSchema
    ) async throws -> DatasetSchema {
        let statement = AgreeColumns(
            datasetID: schema.id, names: wanted.map(\.name), types: wanted.map(\.type.rawValue))
        let columns = try await pool.withConnection { try await $0.query(statement) }
        var agreed = schema
        agreed.columns = columns
        remember(agreed, Name(workspaceID: workspaceID, dataset: dataset), .now)
        return agreed
    }

    private func remember(_ schema: DatasetSchema, _ name: Name, _ now: ContinuousClock.Instant) {
        entries.withLock { entries in
            if entries.count >= Self.capacity { entries.removeAll() }
            entries[name] = Entry(schema: schema, until: now + Self.retention)
        }
    }
}
