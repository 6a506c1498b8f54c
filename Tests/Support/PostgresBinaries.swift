import Foundation

/// Where PostgreSQL's programs are, and as whom the server may run.
enum PostgresBinaries {
    private static let known = [
        "/usr/lib/postgresql/15/bin", "/usr/pgsql-15/bin", "/usr/local/pgsql/bin",
        "/opt/homebrew/opt/postgresql@15/bin",
    ]

    static func directory() async throws -> String {
        if let configured = try? await ShellCommand.run("/usr/bin/env", ["pg_config", "--bindir"]),
            isComplete(configured)
        {
            return configured
        }
        guard let found = known.first(where: isComplete) else {
            throw TestSupportError("no PostgreSQL server found: neither by pg_config nor in \(known)")
        }
        return found
    }

    private static func isComplete(_ directory: String) -> Bool {
        ["initdb", "pg_ctl", "postgres", "psql"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: directory + "/" + $0)
        }
    }

    /// Nil unless we are root: then a user without privileges that exists.
    static func serverUser() -> String? {
        guard geteuid() == 0 else { return nil }
        let passwd = (try? String(contentsOfFile: "/etc/passwd", encoding: .utf8)) ?? ""
        return passwd.contains("postgres:x:") ? "postgres" : "nobody"
    }
}
