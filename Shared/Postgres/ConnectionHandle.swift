private import CPostgres

/// libpq's `PGconn`, non-blocking: the only file that calls it. Each method is one or two calls of libpq and returns at
/// once; waiting is done by `ConnectionCore`. Freeing it closes the socket, so the descriptor must have left its event
/// loop before.
@safe struct ConnectionHandle: ~Copyable {
    /// What `PQconnectPoll` wants next.
    enum ConnectStep { case waitReadable, waitWritable, connected, failed }
    enum FlushStep { case done, pending, failed }
    enum CopyStep { case accepted, full, failed }
    enum CopyOutStep { case row(Int), wouldBlock, done, failed }
    enum TransactionStatus { case idle, active, inTransaction, inError, unknown }

    /// What `PQgetResult` gave.
    enum Event {
        /// No more results of this statement.
        case end
        case result(PostgresResult)
        case failed(PostgresError)
        /// An earlier statement of the pipeline failed, so this one did not run.
        case skipped
        case synced
        case copyIn
        case copyOut
    }

    /// Nil after `finish`; libpq then answers every call with a failure.
    private var connection: OpaquePointer?

    /// Starts connecting. Nil if memory is short.
    init?(connecting parameters: [(name: String, value: String)]) {
        let connection = unsafe CStrings.withPointers(parameters.map(\.name)) { names in
            unsafe CStrings.withPointers(parameters.map(\.value)) { values in
                unsafe PQconnectStartParams(names, values, 0)
            }
        }
        guard let connection = unsafe connection else { return nil }
        unsafe self.connection = unsafe connection
        // Notices would go to standard error otherwise.
        unsafe PQsetNoticeProcessor(connection, { _, _ in }, nil)
        // The only way to see the SQLSTATE of a refused connection is in the message; `refusal` takes it out of there.
        unsafe PQsetErrorVerbosity(connection, PQERRORS_VERBOSE)
    }

    deinit {
        unsafe PQfinish(connection)
    }

    /// Tells the server goodbye and closes the socket.
    mutating func finish() {
        unsafe PQfinish(connection)
        unsafe connection = nil
    }

    // MARK: State

    var socket: CInt { unsafe PQsocket(connection) }
    var isGood: Bool { unsafe PQstatus(connection) == CONNECTION_OK }
    var hasFailed: Bool { unsafe PQstatus(connection) == CONNECTION_BAD }
    var backendPID: Int32 { unsafe PQbackendPID(connection) }
    var usesTLS: Bool { unsafe PQsslInUse(connection) == 1 }
    var serverVersion: Int { Int(unsafe PQserverVersion(connection)) }
    var errorMessage: String { unsafe Self.trimmed(PQerrorMessage(connection)) }

    var transactionStatus: TransactionStatus {
        switch unsafe PQtransactionStatus(connection) {
        case PQTRANS_IDLE: .idle
        case PQTRANS_ACTIVE: .active
        case PQTRANS_INTRANS: .inTransaction
        case PQTRANS_INERROR: .inError
        default: .unknown
        }
    }

    mutating func pollConnect() -> ConnectStep {
        switch unsafe PQconnectPoll(connection) {
        case PGRES_POLLING_READING: .waitReadable
        case PGRES_POLLING_WRITING: .waitWritable
        case PGRES_POLLING_OK: connected()
        default: .failed
        }
    }

    private mutating func connected() -> ConnectStep {
        unsafe PQsetErrorVerbosity(connection, PQERRORS_DEFAULT)
        return unsafe PQsetnonblocking(connection, 1) == 0 ? .connected : .failed
    }

    /// Why no connection could be had; with the SQLSTATE where a server said so, the last one of several.
    var refusal: PostgresError { ConnectRefusal(errorMessage).error }

    // MARK: Moving bytes

    /// Reads what has arrived. False if the connection is gone.
    mutating func consumeInput() -> Bool { unsafe PQconsumeInput(connection) == 1 }
    /// Whether `nextEvent` would block.
    var isBusy: Bool { unsafe PQisBusy(connection) == 1 }

    mutating func flush() -> FlushStep {
        switch unsafe PQflush(connection) {
        case 0: .done
        case 1: .pending
        default: .failed
        }
    }

    // MARK: Statements

    mutating func enterPipeline() -> Bool { unsafe PQenterPipelineMode(connection) == 1 }
    mutating func leavePipeline() -> Bool { unsafe PQexitPipelineMode(connection) == 1 }
    mutating func sync() -> Bool { unsafe PQpipelineSync(connection) == 1 }
    /// Rows from the statement just sent come one by one.
    mutating func singleRows() -> Bool { unsafe PQsetSingleRowMode(connection) == 1 }

    mutating func prepare(_ name: String, _ sql: String, types: [UInt32]) -> Bool {
        unsafe types.withUnsafeBufferPointer { types in
            unsafe PQsendPrepare(connection, name, sql, CInt(types.count), types.baseAddress) == 1
        }
    }

    /// Asks what a prepared statement's result looks like.
    mutating func describe(_ name: String) -> Bool { unsafe PQsendDescribePrepared(connection, name) == 1 }

    /// Executes a prepared statement, or with `sql` parses and executes it.
    mutating func execute(
        _ text: Text, _ parameters: [PostgresValue], _ buffer: inout ParameterBuffer, _ format: PostgresResult.Format
    ) -> Bool {
        let format: CInt = format == .binary ? 1 : 0
        return unsafe buffer.withEncoded(parameters) { encoded in
            switch text {
            case .prepared(let name):
                unsafe PQsendQueryPrepared(
                    connection, name, encoded.count, encoded.values, encoded.lengths, encoded.formats, format) == 1
            case .sql(let sql):
                unsafe PQsendQueryParams(
                    connection, sql, encoded.count, encoded.types, encoded.values, encoded.lengths, encoded.formats,
                    format) == 1
            }
        }
    }

    enum Text {
        case prepared(String)
        case sql(String)
    }

    /// One or several statements without parameters, by the simple protocol.
    mutating func executeScript(_ sql: String) -> Bool { unsafe PQsendQuery(connection, sql) == 1 }

    /// Takes the next result; call it when `isBusy` is false.
    mutating func nextEvent(doing: String) -> Event {
        guard let result = unsafe PQgetResult(connection) else { return .end }
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_SINGLE_TUPLE, PGRES_EMPTY_QUERY:
            return .result(unsafe PostgresResult(adopting: result))
        case PGRES_PIPELINE_SYNC:
            unsafe PQclear(result)
            return .synced
        case PGRES_PIPELINE_ABORTED:
            unsafe PQclear(result)
            return .skipped
        case PGRES_COPY_IN:
            unsafe PQclear(result)
            return .copyIn
        case PGRES_COPY_OUT:
            unsafe PQclear(result)
            return .copyOut
        default:
            defer { unsafe PQclear(result) }
            return .failed(unsafe Self.error(of: result, doing: doing, alive: isGood))
        }
    }

    // MARK: COPY

    mutating func putCopyData(_ bytes: UnsafeRawBufferPointer) -> CopyStep {
        let start = unsafe bytes.baseAddress?.assumingMemoryBound(to: CChar.self)
        return Self.step(unsafe PQputCopyData(connection, start, CInt(bytes.count)))
    }

    /// Ends COPY IN, or makes it fail with a message.
    mutating func putCopyEnd(failing message: String? = nil) -> CopyStep {
        Self.step(unsafe PQputCopyEnd(connection, message))
    }

    /// Takes one row of COPY OUT and hands its bytes to `body`.
    mutating func getCopyData(_ body: (UnsafeRawBufferPointer) -> Void) -> CopyOutStep {
        var row: UnsafeMutablePointer<CChar>?
        let length = unsafe PQgetCopyData(connection, &row, 1)
        defer { unsafe PQfreemem(row) }
        switch length {
        case -1: return .done
        case 0: return .wouldBlock
        case ..<0: return .failed
        default:
            unsafe body(UnsafeRawBufferPointer(start: row, count: Int(length)))
            return .row(Int(length))
        }
    }

    // MARK: Others

    mutating func takeNotification() -> PostgresNotification? {
        guard let notification = unsafe PQnotifies(connection) else { return nil }
        defer { unsafe PQfreemem(notification) }
        return PostgresNotification(
            channel: unsafe String(cString: notification.pointee.relname),
            payload: unsafe String(cString: notification.pointee.extra),
            senderPID: unsafe notification.pointee.be_pid)
    }

    /// A handle that cancels this connection's statement from any thread.
    func makeCancelHandle() -> CancelHandle? {
        unsafe CancelHandle(adopting: PQgetCancel(connection))
    }

    private static func step(_ code: CInt) -> CopyStep {
        switch code {
        case 1: .accepted
        case 0: .full
        default: .failed
        }
    }
}

extension ConnectionHandle {
    /// The server's error, or what libpq made up when the connection broke (then without SQLSTATE).
    private static func error(of result: OpaquePointer, doing: String, alive: Bool) -> PostgresError {
        // The codes are libpq's PG_DIAG_… characters, macros that Swift does not import.
        func field(_ code: Unicode.Scalar) -> String? {
            guard let text = unsafe PQresultErrorField(result, CInt(code.value)) else { return nil }
            return unsafe String(cString: text)
        }
        guard let sqlstate = field("C") else {
            let message = unsafe trimmed(PQresultErrorMessage(result))
            return PostgresError(alive ? .misuse : .connectionLost, message, doing: doing)
        }
        let message = field("M") ?? "no message"
        var error = PostgresError(.server, message, doing: doing, sqlstate: SQLState(sqlstate))
        error.detail = field("D")
        error.hint = field("H")
        error.position = field("P").flatMap { Int($0) }
        error.schema = field("s")
        error.table = field("t")
        error.column = field("c")
        error.constraint = field("n")
        error.context = field("W")
        return error
    }

    private static func trimmed(_ text: UnsafePointer<CChar>?) -> String {
        guard let text = unsafe text else { return "no message" }
        var bytes = unsafe String(cString: text)[...]
        while let last = bytes.last, last.isWhitespace { bytes.removeLast() }
        return String(bytes)
    }
}

/// A notification as the server sent it; its payload is an untrusted hint.
public struct PostgresNotification: Sendable, Hashable {
    public let channel: String
    public let payload: String
    public let senderPID: Int32
}
