import Postgres

/// How a session is made ready for a user's statement.
enum SessionScript {
    /// Opens the transaction in which one statement runs, with every setting pinned that its meaning or its answer's
    /// form depends on: `standard_conforming_strings` above all, without which the server would read the text otherwise
    /// than the guard did. `work_mem` bounds what each sort and hash of a statement takes; nothing that is allowed
    /// changes it. A hash table that processes share lies in shared memory, which no limit of a process's own memory is
    /// about; so each has its own.
    static func begin(schema: String, timeout: Duration) -> String {
        let settings = [
            ("search_path", "\(PostgresQuery.quoted(identifier: schema)), pg_temp"),
            ("statement_timeout", String(milliseconds(timeout))),
            ("lock_timeout", "5000"),
            ("idle_in_transaction_session_timeout", "10000"),
            ("client_connection_check_interval", "1000"),
            ("work_mem", "'16MB'"),
            ("hash_mem_multiplier", "1"),
            ("enable_parallel_hash", "off"),
            ("standard_conforming_strings", "on"),
            ("transform_null_equals", "off"),
            ("timezone", "'UTC'"),
            ("datestyle", "'ISO, YMD'"),
            ("intervalstyle", "'postgres'"),
            ("bytea_output", "'hex'"),
            ("extra_float_digits", "1"),
        ]
        return "BEGIN READ ONLY;" + settings.map { "SET LOCAL \($0.0) = \($0.1);" }.joined()
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        return max(1, seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
