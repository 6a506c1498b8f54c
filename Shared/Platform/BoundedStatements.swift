import Lifecycle
import Postgres

/// A service whose statements may take only so long, where they say nothing of it themselves: ``StatementLimit``.
struct BoundedStatements: Service {
    let service: any Service
    let limit: Duration

    var name: String { service.name }

    func run(until shutdown: ShutdownSignal) async throws {
        try await StatementLimit.$current.withValue(limit) { try await service.run(until: shutdown) }
    }
}
