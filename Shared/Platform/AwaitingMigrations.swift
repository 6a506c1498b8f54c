import Lifecycle
import Migrations
import Observability

/// A service that begins once the database has the schema of this build. Of two versions side by side the newer one is
/// often started first: on the older schema its statements would fail, and with them the jobs that it claimed.
struct AwaitingMigrations: Service {
    let service: any Service
    let schema: SchemaMonitor
    let logger: Logger

    var name: String { service.name }

    func run(until shutdown: ShutdownSignal) async throws {
        if await !isMigrated() {
            logger.warning("work waits for the database's migrations", ["service.part": .string(name)])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await shutdown.requested() }
                group.addTask {
                    repeat { try? await Task.sleep(for: SchemaMonitor.patience) } while await !isMigrated()
                }
                await group.next()
                group.cancelAll()
            }
        }
        try await service.run(until: shutdown)
    }

    /// Also when nobody waits for the answer any more. A database that is away has not been migrated yet.
    private func isMigrated() async -> Bool {
        if Task.isCancelled { return true }
        return (try? await schema.state())?.missing.isEmpty ?? false
    }
}
