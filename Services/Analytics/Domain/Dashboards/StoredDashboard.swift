import JSON
import Postgres

/// A dashboard as `/v1/dashboards` shows it. Times are µs since 2000-01-01 UTC.
struct StoredDashboard: StoredDefinition {
    static let table = "dashboard"
    static let columns = "x.id, x.name, x.version, x.definition, x.created_at, x.updated_at"
    static let maximumCount = 1000

    var id: Int64
    var name: String
    var version: Int32
    /// As `DashboardDefinition.json` writes it.
    var definition: [UInt8]
    var createdAt: Int64
    var updatedAt: Int64

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        definition = try row.json(3)
        createdAt = try row.timestamp(4)
        updatedAt = try row.timestamp(5)
    }
}

extension DashboardDefinition: DefinitionDraft {
    var bytes: [UInt8] { json.serialized() }

    func isSame(as stored: StoredDashboard) throws -> Bool {
        try DashboardDefinition(stored: stored.definition) == self
    }
}
