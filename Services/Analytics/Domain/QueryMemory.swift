import Lifecycle
import Observability
import Postgres
import Synchronization

/// Watches the memory of the server's processes that run queries, and ends those that take too much: more than one
/// may, or the most of all while the server's machine or container has hardly any left.
///
/// PostgreSQL has no setting for that. It is seen through a function that `deploy/postgres/prepare.sql` makes as a
/// superuser; where that is missing, nothing is watched, and the log says so. It looks ten times a second, and only
/// while queries run: what a process can take in between is what it may go beyond.
final class QueryMemory: Service {
    /// A query that is watched.
    final class Ticket: Sendable {
        fileprivate let pid = Mutex<Int32?>(nil)
        fileprivate let ends: AsyncStream<Void>
        fileprivate let end: AsyncStream<Void>.Continuation

        fileprivate init() {
            (ends, end) = AsyncStream.makeStream()
        }

        /// The server's process in which the query runs.
        func runs(in process: Int32) {
            pid.withLock { $0 = process }
        }

        /// Throws, as the server would, when the query is to end; returns when the task is cancelled.
        func exceeded() async throws {
            for await _ in ends {
                throw PostgresError(.server, "out of memory", doing: "answer a query", sqlstate: .outOfMemory)
            }
        }
    }

    let name = "query memory"
    static let interval = Duration.milliseconds(100)
    /// How long it does not look again where nothing can be seen.
    static let blindness = Duration.seconds(600)
    /// What is to be left of the memory: a sixteenth.
    static let reserve: Int64 = 16
    /// Ending a query that has less than that helps nobody.
    static let least: Int64 = 32 << 20

    private let pool: PostgresPool
    private let limit: Int64
    private let logger: Logger
    private let tickets = Mutex<[ObjectIdentifier: Ticket]>([:])
    private let isStopping = Mutex(false)
    private let wakeups: AsyncStream<Void>
    private let wakeup: AsyncStream<Void>.Continuation

    init(pool: PostgresPool, limit: Int, logger: Logger) {
        self.pool = pool
        self.limit = Int64(limit)
        self.logger = logger
        (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    /// Runs `body` with a ticket that is watched meanwhile.
    func watching<T: Sendable>(_ body: (Ticket) async throws -> T) async throws -> T {
        let ticket = Ticket()
        let id = ObjectIdentifier(ticket)
        tickets.withLock { $0[id] = ticket }
        defer { _ = tickets.withLock { $0.removeValue(forKey: id) } }
        wakeup.yield()
        return try await body(ticket)
    }

    func run(until shutdown: ShutdownSignal) async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await shutdown.requested()
                self.isStopping.withLock { $0 = true }
                self.wakeup.finish()
            }
            var blindUntil = ContinuousClock.now
            for await _ in wakeups where blindUntil <= .now {
                while !isStopping.withLock({ $0 }), !tickets.withLock({ $0.isEmpty }) {
                    try? await Task.sleep(for: Self.interval)
                    guard await look() else {
                        blindUntil = .now + Self.blindness
                        break
                    }
                }
            }
            group.cancelAll()
        }
    }

    /// False where nothing can be seen.
    private func look() async -> Bool {
        var byProcess: [Int32: Ticket] = [:]
        for ticket in tickets.withLock({ Array($0.values) }) {
            if let process = ticket.pid.withLock({ $0 }) { byProcess[process] = ticket }
        }
        if byProcess.isEmpty { return true }
        let read = ReadProcessMemory(processes: Array(byProcess.keys))
        do {
            let found = try await pool.withConnection { try await $0.query(read) }
            for process in Self.tooLarge(found, limit: limit) {
                logger.warning("a query took too much memory", ["process": .int(Int(process))])
                byProcess[process]?.end.yield()
            }
            return true
        } catch let error as PostgresError where ["3F", "42", "58"].contains(error.sqlstate?.classCode ?? "") {
            logger.warning("the memory of queries cannot be watched", ["error": .describing(error)])
            return false
        } catch {
            // Another look is soon.
            return true
        }
    }

    /// The processes whose queries are to end.
    static func tooLarge(_ found: [ReadProcessMemory.Found], limit: Int64) -> Set<Int32> {
        var processes = Set(found.lazy.filter { $0.bytes > limit }.map(\.process))
        if let largest = found.max(by: { $0.bytes < $1.bytes }), largest.bytes > least,
            let available = largest.available, let total = largest.total, available < total / reserve
        {
            processes.insert(largest.process)
        }
        return processes
    }
}
