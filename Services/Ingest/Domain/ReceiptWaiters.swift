import Catalog
import Lifecycle
import Observability
import Postgres
import Synchronization

/// Those who wait until a receipt is stored or has failed.
///
/// Store sends a wake-up for ``topic`` after its commits; it is a hint, what counts is the ledger, which
/// is asked for all waiting receipts at once. A lost notification costs up to a second. Nothing is asked while
/// nobody waits.
final class ReceiptWaiters: Service {
    private struct State {
        var waiting: [ReceiptID: [Int: CheckedContinuation<Void, Never>]] = [:]
        var nextToken = 0
        var pollPlanned = false
    }

    /// What store's wake-ups are named, among the queues'.
    static let topic = "stored"

    let name = "receipt-waiters"
    private let pool: PostgresPool
    private let listener: PostgresListener
    private let logger: Logger
    private let state = Mutex(State())
    private let kicks: AsyncStream<Void>
    private let kick: AsyncStream<Void>.Continuation

    init(pool: PostgresPool, listener: PostgresListener, logger: Logger) {
        self.pool = pool
        self.listener = listener
        self.logger = logger
        (kicks, kick) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Returns once the receipt is finished, or after `timeout`, or when the task is cancelled: look at the ledger.
    func wait(for id: ReceiptID, timeout: Duration) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.finished(id) }
            group.addTask { try? await Task.sleep(for: timeout) }
            await group.next()
            group.cancelAll()
        }
    }

    func run(until shutdown: ShutdownSignal) async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                await shutdown.requested()
                self.kick.finish()
                self.releaseAll()
            }
            group.addTask {
                for await event in self.listener.events {
                    if shutdown.isRequested { return }
                    if case .notification(let heard) = event, heard.payload != Self.topic { continue }
                    self.kick.yield()
                }
            }
            for await _ in kicks {
                await check()
                if planPoll() {
                    group.addTask {
                        try? await Task.sleep(for: .seconds(1))
                        self.state.withLock { $0.pollPlanned = false }
                        self.kick.yield()
                    }
                }
            }
            group.cancelAll()
        }
    }

    private func finished(_ id: ReceiptID) async {
        let token = state.withLock { state in
            state.nextToken += 1
            return state.nextToken
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiter in
                let cancelled = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiting[id, default: [:]][token] = waiter
                    return false
                }
                if cancelled { waiter.resume() } else { kick.yield() }
            }
        } onCancel: {
            release(id, token)
        }
    }

    private func release(_ id: ReceiptID, _ token: Int) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            let waiter = state.waiting[id]?.removeValue(forKey: token)
            if state.waiting[id]?.isEmpty == true { state.waiting[id] = nil }
            return waiter
        }
        waiter?.resume()
    }

    private func releaseAll() {
        let waiters = state.withLock { state in
            defer { state.waiting = [:] }
            return state.waiting.values.flatMap(\.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    /// Whether somebody still waits and no poll is planned; plans one.
    private func planPoll() -> Bool {
        state.withLock { state in
            guard !state.waiting.isEmpty, !state.pollPlanned else { return false }
            state.pollPlanned = true
            return true
        }
    }

    private func check() async {
        let ids = state.withLock { Array($0.waiting.keys) }
        guard !ids.isEmpty else { return }
        do {
            let done = try await finished(among: ids)
            let waiters = state.withLock { state in
                done.flatMap { id -> [CheckedContinuation<Void, Never>] in
                    state.waiting.removeValue(forKey: id).map { Array($0.values) } ?? []
                }
            }
            for waiter in waiters { waiter.resume() }
        } catch {
            logger.warning("waiting receipts could not be looked up", ["error": "\(error)"])
        }
    }

    private func finished(among ids: [ReceiptID]) async throws -> [ReceiptID] {
        var batches: [Int64: [ReceiptID]] = [:]
        var uploads: [Int64] = []
        for id in ids {
            switch id {
            case .coalesced(let batch, _): batches[batch, default: []].append(id)
            case .upload(let upload): uploads.append(upload)
            }
        }
        let (byBatch, batchIDs, uploadIDs) = (batches, Array(batches.keys), uploads)
        return try await pool.withConnection { connection in
            var done: [ReceiptID] = []
            if !batchIDs.isEmpty {
                for batch in try await connection.query(FinishedBatches(batches: batchIDs)) {
                    done += byBatch[batch] ?? []
                }
            }
            if !uploadIDs.isEmpty {
                done += try await connection.query(FinishedUploads(uploads: uploadIDs)).map { .upload($0) }
            }
            return done
        }
    }
}
