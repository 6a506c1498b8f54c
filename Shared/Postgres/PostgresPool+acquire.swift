import EventLoop
private import Observability
import Synchronization

extension PostgresPool {
    /// One thing to do after the lock is released.
    enum Effect {
        case command(Command)
        case resume(CheckedContinuation<Answer, Never>, Answer)
        case finished
    }

    /// A connection leased to the caller.
    func acquire() async throws(PostgresError) -> (PoolState.ConnectionID, PostgresConnection) {
        let loop = EventLoop.current.flatMap { current in loops.firstIndex { $0 === current } }
        if let taken = takeIdle(loop) { return taken }
        let start = ContinuousClock.now
        let answer = await wait(loop)
        metrics.waited(.now - start)
        switch answer {
        case .connection(let id, let connection): return (id, connection)
        case .refused(let error):
            metrics.refused(error.code)
            throw error
        }
    }

    private func takeIdle(_ loop: Int?) -> (PoolState.ConnectionID, PostgresConnection)? {
        let (taken, effects) = guarded.withLock { guarded in
            guard let (id, actions) = guarded.state.leaseIdle(loop), let connection = guarded.connections[id] else {
                return (nil as (PoolState.ConnectionID, PostgresConnection)?, [] as [Effect])
            }
            return ((id, connection), actions.isEmpty ? [] : guarded.effects(of: actions))
        }
        effects.forEach(carryOut)
        return taken
    }

    private func wait(_ loop: Int?) async -> Answer {
        let id = guarded.withLock { guarded in
            guarded.nextWaiter += 1
            return guarded.nextWaiter
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                enqueue(id, loop, continuation)
            }
        } onCancel: {
            let waiter = guarded.withLock { $0.state.cancel(id) ? $0.waiters.removeValue(forKey: id) : nil }
            waiter?.resume(returning: .refused(Self.cancelled))
        }
    }

    /// Asks the state machine, with the continuation in place before anybody can want it.
    private func enqueue(_ id: PoolState.WaiterID, _ loop: Int?, _ continuation: CheckedContinuation<Answer, Never>) {
        let effects = guarded.withLock { guarded -> [Effect] in
            // A handler that ran before found nothing to cancel; the flag was set before it ran.
            guard !Task.isCancelled else { return [.resume(continuation, .refused(Self.cancelled))] }
            let (lease, actions) = guarded.state.lease(id, loop: loop, now: .now)
            switch lease {
            case .wait:
                guarded.waiters[id] = continuation
                return guarded.effects(of: actions)
            case .use(let connectionID):
                let answer =
                    guarded.connections[connectionID].map { Answer.connection(connectionID, $0) }
                    ?? .refused(Self.cancelled)
                return guarded.effects(of: actions) + [.resume(continuation, answer)]
            case .refused(let refusal):
                let error = guarded.error(for: refusal)
                return guarded.effects(of: actions) + [.resume(continuation, .refused(error))]
            }
        }
        effects.forEach(carryOut)
    }

    private static let cancelled = PostgresError(.cancelled, "the task was cancelled", doing: "wait for a connection")
}

extension PostgresPool.Guarded {
    /// Looks up what the state machine's ids mean.
    mutating func effects(of actions: [PoolState.Action]) -> [PostgresPool.Effect] {
        var effects: [PostgresPool.Effect] = []
        for action in actions {
            switch action {
            case .open(let id, let loop, let delay): effects.append(.command(.open(id, loop: loop, after: delay)))
            case .close(let id): effects.append(.command(.close(id, connections.removeValue(forKey: id))))
            case .wakeAt(let instant): effects.append(.command(.wakeAt(instant)))
            case .finished: effects.append(.finished)
            case .serve(let waiter, let id):
                guard let continuation = waiters.removeValue(forKey: waiter), let connection = connections[id] else {
                    preconditionFailure("the pool serves what it does not have")
                }
                effects.append(.resume(continuation, .connection(id, connection)))
            case .refuse(let waiter, let refusal):
                guard let continuation = waiters.removeValue(forKey: waiter) else { continue }
                effects.append(.resume(continuation, .refused(error(for: refusal))))
            }
        }
        return effects
    }

    func error(for refusal: PoolState.Refusal) -> PostgresError {
        let doing = "wait for a connection"
        switch refusal {
        case .unavailable:
            let cause = lastFailure.map { ": \($0.message)" } ?? ""
            return PostgresError(.unavailable, "the database is away" + cause, doing: doing)
        case .queueFull: return PostgresError(.poolExhausted, "too many tasks wait already", doing: doing)
        case .timedOut: return PostgresError(.poolExhausted, "no connection became free in time", doing: doing)
        case .closed: return PostgresError(.closed, "the pool is shut down", doing: doing)
        }
    }
}
