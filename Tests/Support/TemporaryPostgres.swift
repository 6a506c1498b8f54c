import Foundation

/// A PostgreSQL cluster of its own for tests: private data, private socket directory, gone when the process ends.
///
/// A guardian shell starts it and waits for this process to end, by whatever cause; then it stops the server by its pid
/// and removes the directory. PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`.
public final class TemporaryPostgres: Sendable {
    public struct Options: Sendable {
        /// On costs a disk flush a commit; off is enough unless the machine itself is to fail.
        public var fsync = false
        /// Also on TCP, at a random port of 127.0.0.1, with TLS by a certificate nobody knows.
        public var tls = false
        /// Further lines of postgresql.conf.
        public var settings: [(name: String, value: String)] = []
        /// MiB of its own that each server process may have (RLIMIT_DATA); nil for any.
        public var processMemory: Int?

        public init(
            fsync: Bool = false, tls: Bool = false, settings: [(name: String, value: String)] = [],
            processMemory: Int? = nil
        ) {
            self.fsync = fsync
            self.tls = tls
            self.settings = settings
            self.processMemory = processMemory
        }
    }

    public enum StopMode: String, Sendable {
        /// Open transactions are rolled back, clients disconnected.
        case fast
        /// As in a crash: recovery follows at the next start.
        case immediate
    }

    /// The role that services run as: no superuser, CREATEROLE, owner of its databases.
    public static let role = "millrace"
    private static let sharedCluster = OnceByKey<TemporaryPostgres>()

    /// The directory that holds the socket, `data` and `server.log`.
    public let directory: String
    /// Part of the socket's name, and the TCP port if there is one.
    public let port: Int
    private let binaries: String
    private let guardian: GuardianProcess
    private let templates = OnceByKey<String>()

    private init(_ binaries: String, _ guardian: GuardianProcess, port: Int) {
        self.port = port
        self.binaries = binaries
        self.guardian = guardian
        directory = guardian.directory
    }

    /// The cluster that all tests of this process share; started at the first call. Do not stop it.
    public static func shared() async throws -> TemporaryPostgres {
        try await sharedCluster.value(for: "shared") { try await start() }
    }

    /// A cluster of the caller's own, for tests that stop, kill or configure it. It ends with its last reference.
    public static func start(_ options: Options = Options()) async throws -> TemporaryPostgres {
        let binaries = try await PostgresBinaries.directory()
        let user = PostgresBinaries.serverUser()
        func launch(_ port: Int) async throws -> TemporaryPostgres {
            let guardian = try await GuardianProcess.start(
                arguments: [
                    binaries, user ?? "", configuration(options, port), options.tls ? "tls" : "",
                    options.processMemory.map { String($0 << 10) } ?? "",
                ])
            return TemporaryPostgres(binaries, guardian, port: port)
        }
        let cluster = options.tls ? try await onFreePort(launch) : try await launch(5432)
        try await cluster.verify()
        try await cluster.administer(
            "CREATE ROLE \(role) LOGIN NOSUPERUSER CREATEROLE NOCREATEDB", database: "postgres")
        return cluster
    }

    /// Tries ports until nobody else has one, below those that the kernel gives to clients.
    private static func onFreePort(
        _ launch: (Int) async throws -> TemporaryPostgres
    ) async throws -> TemporaryPostgres {
        for _ in 0..<4 {
            if let cluster = try? await launch(.random(in: 20000..<32000)) { return cluster }
        }
        return try await launch(.random(in: 20000..<32000))
    }

    private static func configuration(_ options: Options, _ port: Int) -> String {
        var settings = [
            ("listen_addresses", options.tls ? "'127.0.0.1'" : "''"), ("port", "\(port)"),
            ("ssl", options.tls ? "on" : "off"), ("fsync", options.fsync ? "on" : "off"),
            ("full_page_writes", options.fsync ? "on" : "off"), ("max_connections", "1000"),
            ("shared_buffers", "'64MB'"), ("max_wal_size", "'2GB'"), ("jit", "off"), ("log_min_messages", "warning"),
            ("logging_collector", "off"), ("timezone", "'UTC'"),
        ]
        settings += options.settings.map { ($0.name, "'\($0.value)'") }
        return settings.map { "\($0.0) = \($0.1)" }.joined(separator: "\n")
    }

    /// A database that nobody else uses, owned by `role`. With `template` it is a copy of a database that `prepare` has
    /// filled once for the whole process, given its URL. Its own collation is "C"; with `icuLocale`, which takes no
    /// template, that of ICU's locale.
    public func database(
        template: String? = nil, icuLocale: String? = nil,
        prepare: @escaping @Sendable (_ url: String) async throws -> Void = { _ in }
    ) async throws -> TestDatabase {
        var source = "template0"
        if let template {
            source = try await templates.value(for: template) { [self] in
                let name = "template_\(template)"
                try await create(name, from: "template0")
                try await prepare(url(of: name))
                return name
            }
        }
        let name = "t_\(UniqueName.next())"
        try await create(name, from: source, icuLocale: icuLocale)
        return TestDatabase(name: name, cluster: self, url: url(of: name), superuserURL: url(of: name, as: "postgres"))
    }

    /// libpq's URL of a database of this cluster.
    public func url(of database: String, as role: String = TemporaryPostgres.role) -> String {
        "postgres://\(role)@/\(database)?host=\(directory)&port=\(port)"
    }

    /// The same over TCP and TLS; for clusters with `Options.tls`.
    public func tlsURL(of database: String, as role: String = TemporaryPostgres.role) -> String {
        "postgres://\(role)@localhost:\(port)/\(database)?sslmode=require"
    }

    /// Runs SQL as the superuser, through psql; gives its unaligned output.
    @discardableResult
    public func administer(_ sql: String, database: String) async throws -> String {
        try await ShellCommand.run(
            binaries + "/psql",
            [
                "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", directory, "-p", "\(port)", "-U", "postgres",
                "-d", database,
                "-c", sql,
            ])
    }

    /// Runs another of PostgreSQL's programs on the cluster, such as `pg_dump`; gives what it prints.
    @discardableResult
    public func run(_ program: String, _ arguments: [String]) async throws -> String {
        try await ShellCommand.run(
            binaries + "/\(program)", ["-h", directory, "-p", "\(port)"] + arguments)
    }

    /// Runs `deploy/postgres/prepare.sql` for a database, as the superuser or as another administrator. Roles belong to
    /// the whole cluster, so tests that do this together are in each other's way for a moment.
    public func prepare(
        _ database: String, role: String = TemporaryPostgres.role, as administrator: String = "postgres"
    ) async throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let arguments = [
            "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", directory, "-p", "\(port)", "-U", administrator, "-d",
            "postgres",
            "-v", "role=\(role)", "-v", "database=\(database)",
            "-f", root.appendingPathComponent("deploy/postgres/prepare.sql").path,
        ]
        for attempt in 1... {
            do {
                try await ShellCommand.run(binaries + "/psql", arguments)
                return
            } catch let error as TestSupportError where error.description.contains("concurrently") && attempt < 50 {
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func create(_ name: String, from template: String, icuLocale: String? = nil) async throws {
        let collation = icuLocale.map { " LOCALE_PROVIDER icu ICU_LOCALE '\($0)'" } ?? ""
        try await administer(
            "CREATE DATABASE \(name) TEMPLATE \(template) OWNER \(Self.role)\(collation)", database: "postgres")
    }

    /// Makes sure that what answers on the socket is this cluster.
    private func verify() async throws {
        let found = try await administer("SHOW data_directory", database: "postgres")
        guard found == directory + "/data" else {
            throw TestSupportError("another server answers on \(directory): \(found)")
        }
    }
}

// MARK: Faults

extension TemporaryPostgres {
    /// The server's main process, while it runs.
    public var serverPID: Int32? {
        guard let text = try? String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8) else {
            return nil
        }
        return text.split(separator: "\n").first.flatMap { Int32($0) }
    }

    /// Kills the server's main process with SIGKILL, as the machine's out-of-memory killer would. Its children end when
    /// they notice.
    public func killHard() {
        if let pid = serverPID { kill(pid, SIGKILL) }
    }

    /// Stops the server and waits until it has.
    public func stop(_ mode: StopMode = .fast) async throws {
        guard try await guardian.control("stop -m \(mode.rawValue)") else {
            throw TestSupportError("the server did not stop")
        }
    }

    /// Starts the server after `stop` or `killHard`; returns when it answers.
    public func startAgain() async throws {
        // After a kill the old children may hold the shared memory for a moment.
        for _ in 0..<20 {
            if try await guardian.control("start") { return try await verify() }
            try await Task.sleep(for: .milliseconds(250))
        }
        let log = (try? String(contentsOfFile: directory + "/server.log", encoding: .utf8)) ?? ""
        throw TestSupportError("the server did not start: \(log.suffix(2000))")
    }

    public func restart(_ mode: StopMode) async throws {
        try await stop(mode)
        try await startAgain()
    }
}

/// A test's own database.
public struct TestDatabase: Sendable {
    public let name: String
    public let cluster: TemporaryPostgres
    /// As `TemporaryPostgres.role`, its owner.
    public let url: String
    public let superuserURL: String

    /// Runs SQL in it as the superuser, through psql; gives its unaligned output.
    @discardableResult
    public func administer(_ sql: String) async throws -> String {
        try await cluster.administer(sql, database: name)
    }
}
