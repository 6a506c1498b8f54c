import EventLoop
import Glibc
import Lifecycle
import Observability
import Postgres
import Queue

/// A worker process for the tests to kill: it notes its step in the table `progress` and then stands still.
///
///     QueueCrasher <database URL> <mode> [<slots>]
@main
struct QueueCrasher {
    static func main() async throws {
        // Whatever becomes of the test, this process ends.
        alarm(120)
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let mode = CrasherHandler.Mode(rawValue: arguments[2]) else { exit(64) }
        let loops = try EventLoopGroup(count: 1, name: "crasher")
        let metrics = MetricsRegistry()
        let configuration = try PostgresConfiguration(url: arguments[1], applicationName: "crasher", poolSize: 6)
        let pool = PostgresPool(configuration, loops: loops, logger: .silent, metrics: metrics)
        var settings = WorkerConfiguration(slots: arguments.count > 3 ? Int(arguments[3]) ?? 1 : 1, name: "crasher")
        settings.beatInterval = .milliseconds(200)
        settings.pollInterval = .milliseconds(500)
        settings.backoff = Backoff(base: .milliseconds(10), cap: .milliseconds(100))
        if mode == .hold {
            // A job a claim; and what it is told, it is told by a notification, not by a poll.
            settings.maxClaim = 1
            settings.pollInterval = .seconds(30)
        }
        // The leader is the test's own worker, or, where the process restarts, this one.
        settings.leads = mode == .poison
        settings.leader.term = .seconds(1)
        settings.leader.renewal = .milliseconds(300)
        settings.leader.watch = .milliseconds(200)
        settings.leader.livenessTimeout = .seconds(1)
        settings.leader.grace = .milliseconds(500)
        let worker = Worker(
            queue: "transform", pool: pool, configuration: settings, handler: CrasherHandler(mode: mode, pool: pool),
            logger: .silent, metrics: metrics)
        try await ServiceGroup(services: [pool, worker], logger: .silent).run()
    }
}

struct CrasherHandler: JobHandler {
    enum Mode: String {
        /// Stands still with the jobs claimed.
        case claimed
        /// Stands still in the transaction, after the effect.
        case effect
        /// Stands still in the middle of a COPY.
        case copy
        /// Does the jobs.
        case work
        /// Does the jobs; one of the kind `test.poison` ends the process.
        case poison
        /// Stands still with each job until it is cancelled or the gate is open.
        case hold
    }

    let mode: Mode
    let pool: PostgresPool

    func handle(_ jobs: [Job], lease: Lease) async {
        do {
            switch mode {
            case .claimed:
                try await note("claimed")
                try await standStill()
            case .effect:
                try await lease.transaction(settling: jobs) { connection in
                    try await insertEffects(of: jobs, connection)
                    try await note("effect")
                    try await standStill()
                }
            case .copy:
                try await lease.transaction(settling: jobs) { connection in
                    try await copyEffects(of: jobs, connection)
                }
            case .work:
                try await work(jobs, lease)
            case .poison:
                if jobs.contains(where: { $0.kind == "test.poison" }) { kill(getpid(), SIGKILL) }
                try await work(jobs, lease)
            case .hold:
                try await note("held \(jobs[0].id)")
                try await untilOpen()
                try await work(jobs, lease)
            }
            try await note("settled")
        } catch {
            let isLost = (error as? QueueError)?.code == .leaseLost
            try? await note(isLost ? "lost" : "refused")
            await lease.fail(jobs, JobFailure(error))
        }
    }

    private func work(_ jobs: [Job], _ lease: Lease) async throws {
        try await lease.transaction(settling: jobs) { connection in
            try await insertEffects(of: jobs, connection)
        }
    }

    private func insertEffects(of jobs: [Job], _ connection: PostgresConnection) async throws {
        try await connection.query("INSERT INTO effect SELECT unnest(\(.int8Array(jobs.map(\.id))))")
    }

    private func copyEffects(of jobs: [Job], _ connection: PostgresConnection) async throws {
        _ = try await connection.copyIn("COPY effect FROM STDIN") { writer in
            for job in jobs { try await writer.write(Array("\(job.id)\n".utf8)) }
            try await note("copy")
            // The test stops the process here and lets it go on later.
            try await untilOpen()
        }
    }

    private func untilOpen() async throws {
        try await pool.withConnection { connection in
            while try await connection.query("SELECT FROM gate WHERE open").rowCount == 0 {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func note(_ step: String) async throws {
        try await pool.withConnection { connection in
            _ = try await connection.query("INSERT INTO progress VALUES (\(.text(step)))")
        }
    }

    private func standStill() async throws {
        try await Task.sleep(for: .seconds(3600))
    }
}
