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
/// a second one, queries of a workspace whose role has such a right are refused.
final class IsolationMonitor: Service {
    /// What was found about a workspace's role.
    struct Finding: Sendable {
        var workspace: QueryWorkspace
        /// What the role is or can do and should not, in words.
        var excess: [String]
        /// Whether there are other workspaces.
        var isShared: Bool
        var at: ContinuousClock.Instant

        var isRefused: Bool { isShared && !excess.isEmpty }

        var summary: String {
            let shown = excess.prefix(8).joined(separator: ", ")
            let more = excess.count > 8 ? " and \(excess.count - 8) more" : ""
            return "the role \(workspace.role) has or may use \(shown)\(more); "
                + "run deploy/postgres/prepare.sql as a superuser"
        }
    }

    let name = "query isolation"
    /// How long a finding counts.
    private static let lifetime = Duration.seconds(30)
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
        if let known, known.at + Self.lifetime > .now {
            finding = known
        } else {
            finding = try await look(at: principal.workspace)
        }
        if finding.isRefused { throw Problem(.queryUnavailable, finding.summary, retryAfter: .seconds(60)) }
        return finding.workspace
    }

    private func look(at name: String) async throws -> Finding {
        let finding = try await pool.withConnection { connection in
            guard let found = try await connection.query(FindWorkspace(name: name)).first else {
                throw Problem(.notFound, "there is no workspace \(name)")
            }
            let workspace = QueryWorkspace(
                id: found.id, name: found.name, schema: found.schema, role: found.queryRole)
            let standing = ExcessStanding(role: workspace.role, schema: workspace.schema)
            var excess = try await connection.query(standing)
            if excess != ["no role"] {
                excess += try await WorkspaceProvision.excessRights(of: workspace.role, on: connection)
            }
            let count = try await connection.query(CountWorkspaces()).first ?? 0
            return Finding(workspace: workspace, excess: excess, isShared: count > 1, at: .now)
        }
        let before = findings.withLock { $0.updateValue(finding, forKey: finding.workspace.id) }
        if !finding.excess.isEmpty, before?.excess != finding.excess { report(finding) }
        return finding
    }

    private func report(_ finding: Finding) {
        logger.warning(
            "isolation of queries is incomplete",
            [
                "workspace": .string(finding.workspace.name), "role": .string(finding.workspace.role),
                "excess": .string(finding.excess.joined(separator: " ")), "refused": .bool(finding.isRefused),
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
            if let known, known.at + Self.lifetime > .now {
                found.append(known)
            } else {
                found.append(try await look(at: workspace.name))
            }
        }
        return found
    }

    /// Not ready where queries are refused; a note where rights are too many but nobody is to be kept apart.
    var readinessCheck: ReadinessCheck {
        .noting("query isolation") { [self] in
            let wanting = try await all().filter { !$0.excess.isEmpty }
            if let refused = wanting.first(where: \.isRefused) { throw Problem(.queryUnavailable, refused.summary) }
            return wanting.first?.summary
        }
    }
}
