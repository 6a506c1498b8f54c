/// Where PostgreSQL is and how it is used. The URL is libpq's,
/// `postgres://user:password@host:port/database?sslmode=…`, or its `key=value` form; what it does not say comes from
/// libpq's environment and defaults.
public struct PostgresConfiguration: Sendable {
    /// How statements are sent.
    public enum StatementMode: Sendable {
        /// Prepared once a connection under a name.
        case named
        /// Parsed at every execution: for transaction poolers, which do not keep names.
        case unnamed
    }

    private(set) var settings: ConnectionSettings
    /// Where the connections of pools go instead, if they go through a transaction pooler.
    private var pooler: ConnectionSettings?
    /// Of a pool's connection, which ``StatementLimit`` binds.
    private(set) var isPooled = false
    /// What `pg_stat_activity` shows, cut to 63 bytes by the server.
    public var applicationName: String
    /// The most connections a pool holds.
    public var poolSize: Int
    /// The most tasks that wait for one; further ones are refused at once.
    public var maximumWaiters = 1024
    /// How long a task waits for one.
    public var acquireTimeout: Duration = .seconds(5)
    /// How long a task waits for one while the database is away.
    public var unavailableTimeout: Duration = .milliseconds(500)
    /// Unused connections are closed after this time; nil keeps them.
    public var idleTimeout: Duration? = .seconds(600)
    /// For resolving, connecting and authenticating together.
    public var connectTimeout: Duration
    /// The server cancels a statement that takes longer; nil leaves the server's setting. A server that does not even
    /// answer that is given up `answerGrace` later.
    public var statementTimeout: Duration?
    /// How long a cancelled or timed-out statement may take to end before its connection is given up.
    public var answerGrace: Duration = .seconds(5)
    /// How long the answer to COMMIT may take; it is awaited even by a cancelled task.
    public var commitTimeout: Duration = .seconds(60)
    public var statementMode: StatementMode = .named
    /// The most statements kept prepared on a connection.
    public var maximumPreparedStatements = 256
    /// Settings made on every new connection by `SET`, such as `("enable_seqscan", "off")`; not behind a pooler.
    public var sessionSettings: [(name: String, value: String)] = []
    /// The wait before the first, and at most before a later attempt to reconnect; the real one is a random part of it.
    public var reconnectBackoff: (first: Duration, most: Duration) = (.milliseconds(50), .seconds(3))

    /// `pooler` is the URL of a transaction pooler before the same database, for pools alone: what needs a session of
    /// its own (`PostgresConnection.connect`, `PostgresListener`) goes to `url`.
    ///
    /// Errors: `.configuration`. The message never holds the URL, which has the password in it.
    public init(
        url: String, pooler: String? = nil, applicationName: String = "millrace", poolSize: Int = 8,
        connectTimeout: Duration = .seconds(5), statementTimeout: Duration? = nil
    ) throws(PostgresError) {
        guard poolSize > 0, poolSize <= 1000 else {
            throw PostgresError(.configuration, "the pool size must be 1 to 1000", doing: "configure")
        }
        settings = try ConnectionSettings(url: url)
        if let pooler { self.pooler = try ConnectionSettings(url: pooler) }
        self.applicationName = applicationName
        self.poolSize = poolSize
        self.connectTimeout = connectTimeout
        self.statementTimeout = statementTimeout
    }

    /// The same place as another role: for connections that act for a workspace.
    public func with(user: String, password: String?) -> PostgresConfiguration {
        var copy = self
        copy.settings.set("user", user)
        if let password { copy.settings.set("password", password) } else { copy.settings.remove("password") }
        return copy
    }

    /// What a pool makes its connections by.
    var pooled: PostgresConfiguration {
        var copy = self
        copy.isPooled = true
        guard let pooler else { return copy }
        copy.settings = pooler
        copy.statementMode = .unnamed
        return copy
    }

    /// The database's name, if the URL says it.
    public var database: String? { settings["dbname"] }
    /// The role's name, if it is said.
    public var user: String? { settings["user"] }
}
