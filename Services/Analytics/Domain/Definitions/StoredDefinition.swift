import Postgres

/// A definition that is saved under a name of its workspace: an endpoint, a dashboard, a rollup.
///
/// Each kind has a table in the schema millrace: `id`, `workspace_id`, `name`, `version`, `definition` as it was put,
/// `updated_at`, and what else the kind keeps.
protocol StoredDefinition: Sendable {
    /// The table's name, which is also what such a definition is called.
    static var table: String { get }
    /// What `init` reads of a row of the table, which is named `x`.
    static var columns: String { get }
    /// Columns that are written besides those that all kinds have.
    static var written: [String] { get }
    /// The most of a workspace; several puts at a time may go slightly beyond.
    static var maximumCount: Int { get }

    var id: Int64 { get }
    var name: String { get }
    /// The `ETag`; the first is 1.
    var version: Int32 { get }

    init(_ row: PostgresRow) throws(PostgresError)

    /// Takes away what belongs to a locked definition, in the transaction that deletes it.
    func leave(_ connection: PostgresConnection) async throws
}

extension StoredDefinition {
    static var written: [String] { [] }

    func leave(_ connection: PostgresConnection) async throws {}
}

/// A definition that is to be saved.
protocol DefinitionDraft: Sendable {
    associatedtype Stored: StoredDefinition

    /// The definition as JSON.
    var bytes: [UInt8] { get }

    /// Whether saving it would change nothing.
    func isSame(as stored: Stored) throws -> Bool

    /// The values of `Stored.written`. What is called in the transaction that saves it may look around and refuse.
    func values(workspaceID: Int64, _ connection: PostgresConnection) async throws -> [PostgresValue]

    /// Does what goes with a definition that has just been saved; `current` is what it was before.
    func saved(_ id: Int64, inPlaceOf current: Stored?, _ connection: PostgresConnection) async throws

    /// Does what is asked for by putting again what is there. Gives whether that changed anything.
    func renew(_ current: Stored, workspaceID: Int64, _ connection: PostgresConnection) async throws -> Bool
}

extension DefinitionDraft {
    func values(workspaceID: Int64, _ connection: PostgresConnection) async throws -> [PostgresValue] { [] }

    func saved(_ id: Int64, inPlaceOf current: Stored?, _ connection: PostgresConnection) async throws {}

    func renew(_ current: Stored, workspaceID: Int64, _ connection: PostgresConnection) async throws -> Bool { false }
}
