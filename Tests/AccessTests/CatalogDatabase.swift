import Migrations
import Observability
import Postgres
import TestSupport

@testable import Access

/// Databases with the catalog in them and a workspace `default`.
enum CatalogDatabase {
    static func make() async throws -> TestDatabase {
        try await TemporaryPostgres.shared().database(template: "access") { url in
            try await withRunningPool(try PostgresConfiguration(url: url, poolSize: 1)) { pool in
                try await pool.withConnection { connection in
                    _ = try await Migrator(logger: .silent).run(connection)
                    _ = try await connection.query(InsertWorkspace(name: "default"))
                }
            }
        }
    }
}
