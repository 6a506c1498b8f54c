private import CMigrationFiles

/// The migrations that CMigrationFiles embeds, the one list of them.
enum EmbeddedMigrations {
    /// In their order.
    static func names() -> [String] {
        (0..<millrace_migration_count()).map { unsafe String(cString: millrace_migration_at($0).name) }
    }

    static func all() -> [Migration] {
        (0..<millrace_migration_count()).map { index in
            let file = unsafe millrace_migration_at(index)
            let bytes = unsafe UnsafeBufferPointer(start: file.bytes, count: file.length)
            return Migration(
                name: unsafe String(cString: file.name), sql: unsafe String(decoding: bytes, as: UTF8.self))
        }
    }
}
