import Postgres

/// One migration file.
struct Migration: Sendable {
    let name: String
    let sql: String
    /// SHA-256 of the text.
    let checksum: [UInt8]

    init(name: String, sql: String) {
        self.name = name
        self.sql = sql
        checksum = SHA256.digest(Array(sql.utf8))
    }

    /// The line that an error's position falls on.
    func line(of error: PostgresError) -> Int? {
        guard let position = error.position, position > 0 else { return nil }
        return sql.unicodeScalars.prefix(position - 1).count { $0 == "\n" } + 1
    }
}
