import HTTP
import HTTPServer
import Migrations
import Postgres
import Synchronization

/// Whether the database has the schema that this build needs.
///
/// Asked when readiness is, and by workers before they begin: once a minute while all is well, for a schema does not go
/// back by itself; each second while migrations are missing.
final class SchemaMonitor: Sendable {
    private static let lifetime = Duration.seconds(60)
    static let patience = Duration.seconds(1)

    private struct Finding {
        var state: SchemaState
        var at: ContinuousClock.Instant
    }

    private let pool: PostgresPool
    private let found = Mutex<Finding?>(nil)

    init(pool: PostgresPool) {
        self.pool = pool
    }

    var readinessCheck: ReadinessCheck {
        .noting("migrations") { [self] in try Self.note(on: try await state()) }
    }

    /// What was found last, or is found now. Errors: `PostgresError`.
    func state() async throws -> SchemaState {
        let known = found.withLock { $0 }
        if let known {
            let lifetime = known.state.missing.isEmpty ? Self.lifetime : Self.patience
            if known.at + lifetime > .now { return known.state }
        }
        do {
            let state = try await SchemaState.read(pool)
            found.withLock { $0 = Finding(state: state, at: .now) }
            return state
        } catch let error as PostgresError where error.isUnavailable {
            // That the database is away another check says.
            if let known { return known.state }
            throw error
        }
    }

    /// What is worth to be known of it; throws what is missing.
    static func note(on state: SchemaState) throws(Problem) -> String? {
        if let first = state.missing.first {
            let others = state.missing.count == 1 ? "" : " and \(state.missing.count - 1) more"
            throw Problem(.notReady, "the database lacks \(first)\(others): run millrace-store migrate")
        }
        guard let last = state.unknown.last else { return nil }
        return "the database has \(last), which this build does not know: a later one is being rolled out"
    }
}
