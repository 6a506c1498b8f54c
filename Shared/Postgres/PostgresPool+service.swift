import EventLoop
public import Lifecycle
private import Observability
import Synchronization

extension PostgresPool {
    /// Opens and closes connections until shutdown, then waits for the leased ones to come back and closes all.
    /// A pool runs once.
    public func run(until shutdown: ShutdownSignal) async throws {
        change { $0.start() }
        await withDiscardingTaskGroup { group in
            group.addTask {
                await shutdown.requested()
                self.carryOut(.command(.stop))
            }
            for await command in commands {
                if case .stop = command {
                    change { $0.drain() }
                    // Ends the attempts to connect and the sleeping; closing goes on.
                    group.cancelAll()
                } else {
                    group.addTask { await self.obey(command) }
                }
            }
            group.cancelAll()
        }
        // Cancelled without having been asked to stop: whoever still has a connection closes it by dropping it.
        change { $0.drain() }
    }

    private func obey(_ command: Command) async {
        switch command {
        case .stop: break
        case .open(let id, let loop, let delay): await open(id, loops[loop], after: delay)
        case .close(let id, let connection):
            await connection?.close()
            change { $0.closed(id) }
        case .wakeAt(let instant):
            do {
                try await loops[0].sleep(until: instant)
                change { $0.wake(now: .now) }
            } catch {
                // The pool stops.
            }
        }
    }

    private func open(_ id: PoolState.ConnectionID, _ loop: EventLoop, after delay: Duration) async {
        do {
            if delay > .zero { try await loop.sleep(for: delay) }
            let connection = try await PostgresConnection.connect(configuration.pooled, on: loop)
            metrics.opened.add()
            let wasAway = guarded.withLock { guarded in
                guarded.connections[id] = connection
                return guarded.state.failures > 0
            }
            if wasAway { logger.info("database reached again") }
            change { $0.opened(id, now: .now) }
        } catch {
            failed(id, error)
        }
    }

    private func failed(_ id: PoolState.ConnectionID, _ error: any Error) {
        let error = error as? PostgresError ?? PostgresError(.cancelled, "the pool stops", doing: "connect")
        metrics.openFailures.add()
        let first = guarded.withLock { guarded in
            guarded.lastFailure = error
            return guarded.state.failures == 0
        }
        if first, error.code != .cancelled {
            logger.error("database cannot be reached", ["error": .string(error.description)])
        }
        change { $0.openFailed(id, now: .now) }
    }
}
