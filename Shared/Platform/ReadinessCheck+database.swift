import HTTP
import HTTPServer
import Postgres

extension ReadinessCheck {
    /// Whether the database can be reached, as the pool last found it. Sends nothing.
    static func database(_ pool: PostgresPool) -> ReadinessCheck {
        ReadinessCheck("database") {
            if pool.isAvailable { return }
            let cause = pool.load.lastFailure.map { ": \($0.message)" } ?? ""
            throw Problem(.databaseUnavailable, "the database cannot be reached\(cause)")
        }
    }

    /// Whether tasks get connections; told of when they have to wait. Sends nothing.
    static func pool(_ pool: PostgresPool) -> ReadinessCheck {
        .noting("pool") {
            let load = pool.load
            if load.isExhausted {
                throw Problem(
                    .databaseUnavailable,
                    "all \(load.connections) connections are in use, and \(load.waiting) tasks wait: no more may"
                )
            }
            guard load.waiting > 0 else { return nil }
            return "\(load.waiting) tasks wait for one of \(load.connections) connections, \(load.inUse) of them in use"
        }
    }
}

extension PostgresPool {
    /// Finds out whether the database is there, where nobody else would: while no connection is in use.
    func refreshAvailability() async {
        guard load.inUse == 0 else { return }
        _ = try? await withConnection { try await $0.query("select 1", timeout: .seconds(2)) }
    }
}
