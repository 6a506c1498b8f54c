import Access
import EventLoop
import Lifecycle
import Observability
import Postgres
import Synchronization

/// The workspaces' sessions: connections as each workspace's own login role, apart from the service's pool.
///
/// A session serves one query and is then made clean by ROLLBACK and DISCARD ALL before it may serve another of the
/// same workspace; one on which that fails is closed. Few are kept, and none for long. It works while its `run` does.
final class QuerySessions: Service {
    /// What is left of a query that has ended.
    struct Ended: Sendable {
        let connection: PostgresConnection
        let query: PostgresOpenQuery?
        let permit: QueryPermit
    }

    private struct Idle {
        let workspaceID: Int64
        let connection: PostgresConnection
        let since: ContinuousClock.Instant
    }

    private enum Command: Sendable {
        case clean(Ended)
        case sweep
        case stop
    }

    let name = "query sessions"
    /// How long an unused session is kept, and how many of one workspace.
    private static let idleTime = Duration.seconds(30)
    private static let idleCount = 4
    /// How long ROLLBACK and DISCARD ALL may take.
    private static let cleaningTime = Duration.seconds(5)

    private let database: PostgresConfiguration
    private let pool: PostgresPool
    private let loops: EventLoopGroup
    private let gate: QueryGate
    private let patience: Duration
    private let logger: Logger
    private let idle = Mutex<[Idle]>([])
    private let commands: AsyncStream<Command>
    private let commandInput: AsyncStream<Command>.Continuation

    init(
        _ database: PostgresConfiguration, pool: PostgresPool, loops: EventLoopGroup, limits: QuerySlots.Limits,
        patience: Duration, logger: Logger, metrics: MetricsRegistry
    ) {
        var database = database
        database.applicationName = "millrace-query"
        database.answerGrace = .seconds(2)
        self.database = database
        self.pool = pool
        self.loops = loops
        self.patience = patience
        self.logger = logger
        gate = QueryGate(limits)
        gate.show(in: metrics)
        (commands, commandInput) = AsyncStream.makeStream(of: Command.self)
    }

    /// A session of the workspace with a read-only transaction open, as `SessionScript` has it.
    ///
    /// Errors: `TooManyQueries`, also where the role has as many connections as an administrator allows it;
    /// `PostgresError`, `.unavailable` when no connection can be had.
    func begin(_ workspace: QueryWorkspace, timeout: Duration) async throws -> SessionLease {
        let permit = try await gate.enter(workspace.id, patience: min(patience, timeout))
        let script = SessionScript.begin(schema: workspace.schema, timeout: timeout)
        while let connection = takeIdle(workspace.id) {
            // It may have died while it was unused.
            do {
                try await connection.execute(script: script, timeout: Self.cleaningTime)
                return SessionLease(connection, permit, self)
            } catch  where error.isUnavailable {
                await connection.close()
            }
        }
        let connection = try await connect(workspace)
        try await connection.execute(script: script, timeout: Self.cleaningTime)
        return SessionLease(connection, permit, self)
    }

    /// Takes a session back; called by leases.
    func end(_ ended: Ended) {
        commandInput.yield(.clean(ended))
    }

    private func connect(_ workspace: QueryWorkspace) async throws -> PostgresConnection {
        let find = FindWorkspacePassword(workspaceID: workspace.id)
        let password = try await pool.withConnection { try await $0.query(find).first }
        let configuration = database.with(user: workspace.role, password: password)
        do {
            return try await PostgresConnection.connect(configuration, on: EventLoop.current ?? loops.next())
        } catch let error as PostgresError where Self.isLimit(of: workspace.role, error) {
            throw TooManyQueries()
        }
    }

    /// Whether it is the role's own limit, which an administrator has set: the message names the role then, in any
    /// language. The server's limit is about everybody's connections, and names nobody.
    private static func isLimit(of role: String, _ error: PostgresError) -> Bool {
        error.sqlstate == .tooManyConnections && error.message.contains("\"\(role)\"")
    }

    /// One on the caller's loop if there is one.
    private func takeIdle(_ workspaceID: Int64) -> PostgresConnection? {
        idle.withLock { idle in
            let here = idle.lastIndex { $0.workspaceID == workspaceID && $0.connection.loop.isCurrent }
            let index = here ?? idle.lastIndex { $0.workspaceID == workspaceID }
            return index.map { idle.remove(at: $0).connection }
        }
    }
}

// MARK: - Cleaning

extension QuerySessions {
    func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [commandInput] in
                await shutdown.requested()
                commandInput.yield(.stop)
            }
            group.addTask { [commandInput] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.idleTime / 2)
                    commandInput.yield(.sweep)
                }
            }
            await withDiscardingTaskGroup { cleaning in
                for await command in commands {
                    switch command {
                    case .clean(let ended):
                        cleaning.addTask(executorPreference: ended.connection.loop) { await self.clean(ended) }
                    case .sweep: await self.closeIdle(before: .now - Self.idleTime)
                    case .stop: return
                    }
                }
            }
            group.cancelAll()
        }
        await closeIdle(before: .now)
    }

    private func clean(_ ended: Ended) async {
        await ended.query?.close()
        do throws(PostgresError) {
            try await ended.connection.execute(script: "ROLLBACK", timeout: Self.cleaningTime)
            try await ended.connection.execute(script: "DISCARD ALL", timeout: Self.cleaningTime)
        } catch {
            return await ended.connection.close()
        }
        let session = Idle(workspaceID: ended.permit.workspaceID, connection: ended.connection, since: .now)
        let isKept = idle.withLock { idle in
            guard idle.count(where: { $0.workspaceID == session.workspaceID }) < Self.idleCount else { return false }
            idle.append(session)
            return true
        }
        if !isKept { await ended.connection.close() }
    }

    private func closeIdle(before instant: ContinuousClock.Instant) async {
        let old = idle.withLock { idle in
            let old = idle.filter { $0.since <= instant }
            idle.removeAll { $0.since <= instant }
            return old
        }
        for session in old { await session.connection.close() }
    }
}
