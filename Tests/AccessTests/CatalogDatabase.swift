import Foundation
import Postgres
import TestSupport

@testable import Access

/// Databases with the catalog in them and a workspace `default`.
enum CatalogDatabase {
    static func make() async throws -> TestDatabase {
        try await TemporaryPostgres.shared().database(template: "access") { url in
            let sql = try catalogScript()
            try await withRunningPool(try PostgresConfiguration(url: url, poolSize: 1)) { pool in
                try await pool.withConnection { connection in
                    try await connection.execute(script: sql)
                    _ = try await connection.query(InsertWorkspace(name: "default"))
                }
            }
        }
    }

    private static func catalogScript() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder = root.appendingPathComponent("Shared/Migrations/SQL")
        return try ["0001_catalog.sql", "0027_sessions.sql"].map {
            try String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)
        }.joined()
    }
}
