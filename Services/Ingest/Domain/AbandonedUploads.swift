import Lifecycle
import Observability
import Postgres
import Synchronization

/// Uploads that were given up, until the database knows: while it does not, their keys are held, and those who repeat
/// a request are told that it is in progress.
///
/// The database is told at once, and where that fails (it is away, or the client left and the request's task is
/// cancelled) again and again. Uploads of a process that dies here lose their keys after a minute without progress.
final class AbandonedUploads: Service {
    /// Between two tries.
    private static let pause = Duration.milliseconds(500)

    let name = "abandoned-uploads"
    private let pool: PostgresPool
    private let logger: Logger
    private let waiting = Mutex<Set<Int64>>([])
    private let kicks: AsyncStream<Void>
    private let kick: AsyncStream<Void>.Continuation

    init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
        (kicks, kick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Frees the upload's key, now or as soon as the database can be asked; its batches are swept by maintenance.
    func add(_ upload: Int64) async {
        waiting.withLock { _ = $0.insert(upload) }
        do { try await release() } catch { kick.yield() }
    }

    func run(until shutdown: ShutdownSignal) async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await shutdown.requested()
                self.kick.finish()
            }
            for await _ in kicks {
                do { try await release() } catch {
                    logger.warning("uploads that were given up keep their keys for now", ["error": "\(error)"])
                    try? await Task.sleep(for: Self.pause)
                    kick.yield()
                }
            }
            group.cancelAll()
        }
    }

    private func release() async throws {
        let uploads = waiting.withLock { Array($0) }
        guard !uploads.isEmpty else { return }
        _ = try await pool.withConnection { try await $0.query(AbandonUploads(uploads: uploads)) }
        waiting.withLock { $0.subtract(uploads) }
    }
}
