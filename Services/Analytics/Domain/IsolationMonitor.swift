import Access
import HTTP
import HTTPServer
import Lifecycle
import Observability
import Postgres
import Synchronization

/// Looks after the walls between workspaces: what a workspace's login role can do, and whether that matters.
///
/// With one workspace there is nobody to be kept apart from, so an excess right is only reported. As soon as there is
/// a second one, queries of a workspace whose role has such a right are refused. What a role lacks is reported, and
/// where it can open no session for that, its queries are refused with the reason; the others' go on.
final class IsolationMonitor: Service {
    /// What was found about a workspace's role.
    struct Finding: Sendable {
        var workspace: QueryWorkspace
        var standing: WorkspaceStanding
        /// Whether there are other workspaces.
        var isShared: Bool
        var at: ContinuousClock.Instant

        /// Whether its queries could not be kept apart from others'.
        var isOpen: Bool { isShared && !standing.excess.isEmpty }
        var isRefused: Bool { isOpen || standing.isShut }
        /// Whether it need not be looked at again yet. One that refuses is: somebody may have mended it.
        var isFresh: Bool { at + (isRefused ? IsolationMonitor.refusalLifetime : IsolationMonitor.lifetime) > .now }

        /// What is wrong, and what to do; nil where nothing is.
        var summary: String? {
            if !standing.excess.isEmpty {
                return "the role \(workspace.role) has or may use \(WorkspaceProvision.listing(standing.excess)); "
                    + "run deploy/postgres/prepare.sql as a superuser"
            }
            guard !standing.lacks.isEmpty else { return nil }
            return "the role \(workspace.role) lacks \(WorkspaceProvision.listing(standing.lacks)); "
                + "run millrace-store migrate"
        }
    }

    let name = "query isolation"
    /// How long a finding counts, and one for which queries are refused.
    fileprivate static let lifetime = Duration.seconds(30)
    fileprivate static let refusalLifetime = Duration.seconds(5)
    /// The most workspaces that are looked at for readiness.
    private static let checkedWorkspaces: Int32 = 100
    private let pool: PostgresPool
    private let logger: Logger
    private let findings = Mutex<[Int64: Finding]>([:])

    init(pool: PostgresPool, logger: Logger) {
        self.pool = pool
        self.logger = logger
    }

    /// The workspace to query in. Throws `query_unavailable` where its queries cannot be kept apart from others', and
    /// errors of the database.
    func workspace(of principal: Principal) async throws -> QueryWorkspace {
        let known = findings.withLock { $0[principal.workspaceID] }
        let finding: Finding
        if let known, known.isFresh {
            finding = known
        } else {
            finding = try await look(at: principal.workspace)
        }
        if finding.isRefused {
            throw Problem(.queryUnavailable, finding.summary ?? "", retryAfter: .seconds(10))
        }
        return finding.workspace
    }

    private func look(at name: String) async throws -> Finding {
        let finding = try await pool.withConnection { connection in
            guard let found = try await connection.query(FindWorkspace(name: name)).first else {
                throw Problem(.notFound, "there is no workspace \(name)")
            }
            let workspace = QueryWorkspace(
                id: found.id, name: found.name, schema: found.schema, role: found.queryRole)
            let standing = try await WorkspaceProvision.standing(of: found, on: connection)
            let count = try await connection.query(CountWorkspaces()).first ?? 0
            return Finding(workspace: workspace, standing: standing, isShared: count > 1, at: .now)
        }
        let before = findings.withLock { $0.updateValue(finding, forKey: finding.workspace.id) }
        if finding.standing != (before?.standing ?? WorkspaceStanding()) { report(finding) }
        return finding
    }

    private func report(_ finding: Finding) {
        guard finding.summary != nil else { return logger.info("isolation of queries is complete") }
        logger.warning(
            "isolation of queries is incomplete",
            [
                "workspace": .string(finding.workspace.name), "role": .string(finding.workspace.role),
                "excess": .string(finding.standing.excess.joined(separator: " ")),
                "lacks": .string(finding.standing.lacks.joined(separator: " ")), "refused": .bool(finding.isRefused),
            ])
    }
}

// MARK: - Reporting

extension IsolationMonitor {
    /// Looks once at the start, so that the log says what is missing; `workspace(of:)` looks again.
    func run(until shutdown: ShutdownSignal) async throws {
        if let findings = try? await all() {
            let refused = findings.count { $0.isRefused }
            logger.info("isolation checked", ["workspaces": .int(findings.count), "refused": .int(refused)])
        }
        await shutdown.requested()
    }

    private func all() async throws -> [Finding] {
        let list = ListWorkspaces(limit: Self.checkedWorkspaces)
        let workspaces = try await pool.withConnection { try await $0.query(list) }
        var found: [Finding] = []
        for workspace in workspaces {
            let known = findings.withLock { $0[workspace.id] }
            if let known, known.isFresh {
                found.append(known)
            } else {
                found.append(try await look(at: workspace.name))
            }
        }
        return found
    }

    /// Not ready where queries of workspaces could not be kept apart; a note where rights are too many but nobody is to
    /// be kept apart, or where a workspace lacks some: another process would serve it no better.
    var readinessCheck: ReadinessCheck {
        .noting("query isolation") { [self] in
            let found = try await all()
            if let open = found.first(where: \.isOpen) { throw Problem(.queryUnavailable, open.summary ?? "") }
            let summaries = found.compactMap(\.summary)
            guard summaries.count > 1 else { return summaries.first }
            return "\(summaries[0]); something is wrong with \(summaries.count - 1) more workspaces"
        }
    }
}
