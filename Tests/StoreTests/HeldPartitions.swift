import Postgres
import TestSupport
import Testing

@testable import Store

extension PostgresPool {
    /// Runs `body`, which locks a table, while somebody holds six of its partitions, and lets them go one after the
    /// other: none of them as late as an attempt to lock it may wait for. Meanwhile a reader comes who waits no longer
    /// than for two attempts.
    func lettingGo<T: Sendable>(
        ofPartitionsOf table: String, _ body: @escaping @Sendable () async throws -> T
    ) async throws -> T {
        let leaves = try await texts(
            """
            select inhrelid::regclass::text from pg_inherits
            where inhparent = \(.text(table))::regclass order by inhrelid limit 6
            """)
        #expect(leaves.count == 6)
        return try await withTransaction { holder in
            for (place, leaf) in leaves.enumerated().reversed() {
                try await holder.query("savepoint \(identifier: "s\(place)")")
                try await holder.query("lock table \(unsafeText: leaf) in access share mode")
            }
            async let done = body()
            try await wait(
                until: "select count(*) from pg_locks where not granted and relation = \(.text(leaves[0]))::regclass",
                is: 1)
            async let read: Void = withTransaction { reader in
                try await reader.query("set local lock_timeout = '1200ms'")
                try await reader.query("select from \(unsafeText: table)")
            }
            for place in leaves.indices {
                try await holder.query("select pg_sleep(0.35)")
                try await holder.query("rollback to savepoint \(identifier: "s\(place)")")
            }
            try await read
            return try await done
        }
    }
}
