/// What went wrong with PostgreSQL: a code, what happened, and what was being done.
public struct PostgresError: Error, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The URL or a setting is wrong.
        case configuration
        /// No connection could be had: the database is away. Nothing was sent.
        case unavailable
        /// All connections are in use and the queue of waiters is full, or the wait for one took too long.
        case poolExhausted
        /// The connection broke while a statement was under way. Inside a transaction nothing of it has remained;
        /// a lone statement may or may not have taken effect.
        case connectionLost
        /// The connection broke after COMMIT (or the end of an atomic pipeline) was sent and before it was answered:
        /// whether the transaction took effect has to be found out.
        case commitUnknown
        /// The connection or the pool has been closed.
        case closed
        /// The deadline passed; the statement was cancelled.
        case timedOut
        /// The task was cancelled; so was the statement.
        case cancelled
        /// The server refused; see `sqlstate`.
        case server
        /// A value was not of the type asked for, or NULL where none is allowed.
        case decode
        /// A streamed row was larger than the reader allowed; the connection was closed.
        case rowTooLarge
        /// The connection was used in a way it does not allow, such as by two tasks at once.
        case misuse
    }

    public let code: Code
    /// What happened, in PostgreSQL's or our own words. May quote values: for logs and operators.
    public let message: String
    /// What was being done, such as `query` or `connect`.
    public let doing: String
    /// Set if and only if the server said so: with `.server`, and with `.unavailable` if it refused the connection.
    public var sqlstate: SQLState?
    public var detail: String?
    public var hint: String?
    /// 1-based position in the statement's text, in characters.
    public var position: Int?
    /// The server's `schema`, `table`, `column` and `constraint`, where the error is about them.
    public var schema: String?
    public var table: String?
    public var column: String?
    public var constraint: String?
    /// Where in a function or a COPY (`COPY web, line 3, column status: "x"`).
    public var context: String?

    public init(_ code: Code, _ message: String, doing: String, sqlstate: SQLState? = nil) {
        self.code = code
        self.message = message
        self.doing = doing
        self.sqlstate = sqlstate
    }

    public var description: String {
        var text = "\(code.rawValue) while \(doing): \(message)"
        if let sqlstate { text += " (\(sqlstate))" }
        if let detail { text += "; \(detail)" }
        return text
    }

    /// The database cannot be reached or cannot serve now; the answer to a client is 503 with Retry-After.
    public var isUnavailable: Bool {
        switch code {
        case .unavailable, .poolExhausted, .connectionLost, .closed: true
        case .server: sqlstate.map { $0.isConnectionFault || $0.isMachineFault } ?? false
        default: false
        }
    }

    /// Whether repeating the whole transaction may succeed, and cannot repeat an effect.
    public var isTransient: Bool {
        switch code {
        case .unavailable, .poolExhausted: true
        case .server: sqlstate.map { $0.isTransient || $0.isConnectionFault } ?? false
        default: false
        }
    }
}
