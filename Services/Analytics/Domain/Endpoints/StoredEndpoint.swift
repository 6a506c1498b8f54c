import JSON
import Postgres

/// An endpoint as `/v1/endpoints` shows it. Times are µs since 2000-01-01 UTC.
struct StoredEndpoint: StoredDefinition {
    static let table = "endpoint"
    static let columns = "x.id, x.name, x.version, x.definition, x.columns, x.created_at, x.updated_at"
    static let written = ["columns"]
    static let maximumCount = 1000

    var id: Int64
    var name: String
    var version: Int32
    /// As `EndpointDefinition.json` writes it.
    var definition: [UInt8]
    /// As `EndpointColumns.json` writes them.
    var columns: [UInt8]
    var createdAt: Int64
    var updatedAt: Int64

    init(_ row: PostgresRow) throws(PostgresError) {
        id = try row.int8(0)
        name = try row.text(1)
        version = try row.int4(2)
        definition = try row.json(3)
        columns = try row.json(4)
        createdAt = try row.timestamp(5)
        updatedAt = try row.timestamp(6)
    }
}

/// An endpoint that is put. The same definition is another version where its answers have other columns now.
struct EndpointDraft: DefinitionDraft {
    let definition: EndpointDefinition
    let columns: JSONValue

    init(_ definition: EndpointDefinition, columns: [ResultColumn]) {
        self.definition = definition
        self.columns = EndpointColumns.json(columns)
    }

    var bytes: [UInt8] { definition.json.serialized() }

    func isSame(as stored: StoredEndpoint) throws -> Bool {
        try EndpointDefinition(stored: stored.definition) == definition
            && EndpointColumns.json(EndpointColumns.decode(stored.columns)) == columns
    }

    func values(workspaceID: Int64, _ connection: PostgresConnection) async throws -> [PostgresValue] {
        [.json(columns.serialized())]
    }
}
