public import Postgres

/// How a database's schema stands to that of this build.
public struct SchemaState: Sendable, Hashable {
    /// Migrations of this build that the database does not have, in order.
    public let missing: [String]
    /// Migrations of the database that this build does not know: a later build made them.
    public let unknown: [String]

    init(applied: [String], known: [String]) {
        let (appliedSet, knownSet) = (Set(applied), Set(known))
        missing = known.filter { !appliedSet.contains($0) }
        unknown = applied.filter { !knownSet.contains($0) }.sorted()
    }

    /// Asks the database, by one statement. Errors: `PostgresError`.
    public static func read(_ pool: PostgresPool) async throws -> SchemaState {
        let known = EmbeddedMigrations.names()
        do {
            let applied = try await pool.withConnection { try await $0.query(AppliedNames()) }
            return SchemaState(applied: applied, known: known)
        } catch let error as PostgresError where error.sqlstate == "42P01" || error.sqlstate == "3F000" {
            return SchemaState(applied: [], known: known)
        }
    }
}
